import { join, resolve } from 'node:path'
import { exitCodes, SightdError } from '../../core/errors.ts'
import { listKeys, makeKey, writeKey } from '../../ota/key-files.ts'
import { readerOf, readRepository } from '../../ota/repository.ts'
import { findKey, type KeyRole, keyRoles, keysOf, withoutKey } from '../../ota/role-keys.ts'
import { atBench, type Bench, explained, finish, keysFolder, needState, type OtaOptions, printJson } from './bench.ts'
import { Passphrases } from './passphrase.ts'

/** `sightd ota key new`: a key in two files; the machine needs no repository. */
export async function newKey(name: string, options: OtaOptions, signal: AbortSignal): Promise<number> {
  const { json = false, dryRun = false, passphraseFile } = options
  const folder = await keysFolder(options)
  const key = makeKey(name)
  if ((await listKeys(folder)).some((entry) => entry.name === name))
    throw new SightdError('ota_failed', `${join(folder, name)}.pub.json: there is a key already`)
  if (!dryRun) await writeKey(folder, key, await new Passphrases(passphraseFile, signal).forNewKeys([name]))
  if (json) printJson({ name, id: key.signer.id, dry_run: dryRun })
  else
    process.stdout.write(
      dryRun
        ? `would make ${join(folder, name)}.pem and .pub.json\n`
        : `${join(folder, name)}.pem: keep it; .pub.json: bring it to where the repository is made\nid ${key.signer.id}\n`,
    )
  return exitCodes.ok
}

/** `sightd ota key list`: which role each key has, and whether its private part is here. */
export async function showKeys(options: OtaOptions): Promise<number> {
  return explained(async () => {
    const repo = resolve(options.repo ?? 'repository')
    const folder = resolve(options.keys ?? 'keys')
    const here = await listKeys(folder)
    const state = await readRepository(readerOf(repo))
    const used =
      state === undefined ? [] : keyRoles.flatMap((role) => keysOf(state, role).keyids.map((id) => ({ id, role })))
    const ids = new Set([...used.map(({ id }) => id), ...here.map(({ id }) => id)])
    const keys = [...ids].map((id) => {
      const entry = here.find((one) => one.id === id)
      const roles = used.filter((one) => one.id === id).map(({ role }) => role)
      return { name: entry?.name ?? null, id, roles, private: entry?.hasSecret ?? false }
    })
    const thresholds = keyRoles.map((role) => [role, state && keysOf(state, role).threshold] as const)
    if (options.json) {
      printJson({ keys, thresholds: state === undefined ? {} : Object.fromEntries(thresholds) })
      return exitCodes.ok
    }
    for (const { name, id, roles, private: isHere } of keys)
      process.stdout.write(
        `${(roles.join(', ') || 'unused').padEnd(12)}${(name ?? '(not in this folder)').padEnd(22)}${id.slice(0, 16)}  ` +
          `${isHere ? 'private key here' : 'public part only'}\n`,
      )
    if (state !== undefined)
      process.stdout.write(`root needs ${state.root.roles.root.threshold} of ${state.root.roles.root.keyids.length}\n`)
    return exitCodes.ok
  })
}

/** `sightd ota key rotate`: a new key in the place of one that nobody else has. */
export function rotateKey(which: string, options: OtaOptions, signal: AbortSignal): Promise<number> {
  return atBench(options, signal, async (bench) => {
    const { id, roles } = findKey(needState(bench), which, (key) => bench.keyring.nameOf(key))
    return exchange(bench, { id, roles, isReplaced: true })
  })
}

/** `sightd ota key revoke`: a key that someone else may have loses all its roles; a new one comes where the threshold asks for it. */
export function revokeKey(which: string, options: OtaOptions, signal: AbortSignal): Promise<number> {
  return atBench(options, signal, async (bench) => {
    const state = needState(bench)
    const { id } = findKey(state, which, (key) => bench.keyring.nameOf(key))
    const roles = keyRoles.filter((role) => keysOf(state, role).keyids.includes(id))
    const isReplaced = roles.some((role) => keysOf(state, role).keyids.length <= keysOf(state, role).threshold)
    return exchange(bench, { id, roles, isReplaced })
  })
}

async function exchange(
  bench: Bench,
  { id, roles, isReplaced }: { id: string; roles: readonly KeyRole[]; isReplaced: boolean },
): Promise<number> {
  const state = needState(bench)
  const { keyring } = bench
  const [stem = 'key'] = roles
  const made = isReplaced ? keyring.freeNames(stem, 1).map(makeKey) : []
  const [replacement] = made
  const { root, targets } = withoutKey(state, { id, roles, replacement: replacement?.signer })
  const change = {
    ...(root === undefined ? {} : { root }),
    // Its new keys sign what is there.
    ...(targets !== undefined || roles.includes('targets') ? { targets: targets ?? state.targets } : {}),
    ...(roles.includes('deploy') ? { deploy: state.deploy } : {}),
  }
  const name = keyring.nameOf(id)
  const place = roles.join(' and ')
  const { keyids, threshold } = state.root.roles.root
  const isLast = roles.includes('root') && !isReplaced && keyids.length - 1 === threshold
  return finish(bench, change, {
    newKeys: made,
    report: {
      lines: [
        replacement === undefined
          ? `${name} signs for ${place} no more`
          : `${place}: ${replacement.name} in place of ${name}`,
        `${join(keyring.folder, name)}.pem is of no more use here`,
      ],
      facts: { roles, old: { name, id }, new: replacement && { name: replacement.name, id: replacement.signer.id } },
      warnings: isLast ? [`root has no key to spare now: ${threshold} of ${threshold}; see sightd ota key rotate`] : [],
    },
  })
}
