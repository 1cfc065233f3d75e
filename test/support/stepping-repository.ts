import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { smallName } from './small-model.ts'
import { sha256Of } from './stored-updates.ts'
import { TufRepository } from './tuf-repository.ts'
import type { SignedModel } from './update-life.ts'

export const group = 'porch'
export const modelVersions = ['1', '2', '3']

/** A step is a version of the timestamp. */
export const firstStep = 2

/** Which model a step offers. */
export const offeredAt = (step: number): string => modelVersions[step % modelVersions.length] ?? ''

/**
 * Writes a repository to a folder that offers one model after the other, round and round: `timestamps/<step>.json` is what
 * `metadata/timestamp.json` is at that step, all other files are there at once. Resolves to its models.
 */
export async function writeSteps(folder: string, models: readonly ReadonlyMap<string, Uint8Array>[], lastStep: number) {
  const write = async (name: string, bytes: Uint8Array) => {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), bytes)
  }
  const repository = new TufRepository()
  const expires = '2100-01-01T00:00:00Z'
  for (const part of [repository.root, repository.timestamp, repository.snapshot, repository.targets])
    part.expires = expires
  repository.publishRoot()
  repository.delegate('deploy', ['desired/*.json'])
  const signed: SignedModel[] = []
  for (const [i, files] of models.entries()) {
    const version = modelVersions[i] ?? ''
    for (const [name, bytes] of files) {
      const sha256 = sha256Of(bytes)
      const path = `models/${smallName}/${version}/${name}`
      const custom = { name: smallName, version, sha256, rollback_index: 1 }
      repository.targets.targets[path] = {
        length: bytes.length,
        hashes: { sha256 },
        ...(name === 'manifest.json' ? { custom } : {}),
      }
      await write(join('targets', dirname(path), `${sha256}.${name.split('/').at(-1)}`), bytes)
      if (name === 'manifest.json') signed.push({ version, sha256, rollbackIndex: 1 })
    }
  }
  for (let step = firstStep; step <= lastStep; step++) {
    const model = `models/${smallName}/${offeredAt(step)}/manifest.json`
    const desired = JSON.stringify({ model, percent: 100, salt: String(step), from: '2020-01-01T00:00:00Z' })
    repository.release(() => repository.addTarget(`desired/${group}.json`, desired, { role: 'deploy' }))
    await write(`targets/desired/${sha256Of(Buffer.from(desired))}.${group}.json`, Buffer.from(desired))
    await write(`timestamps/${step}.json`, repository.file('timestamp.json'))
  }
  for (const [name, bytes] of repository.files) await write(`metadata/${name}`, bytes)
  return signed
}
