import { mkdtempSync } from 'node:fs'
import { cp, mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { bundledModel } from '../../src/daemon.ts'
import { copyOfBundledModel, editManifest } from './models.ts'
import { Operator } from './operator.ts'

export const name = 'ssdlite-mobilenet-v2-coco'
export const pathOf = (version: number) => `models/${name}/${version}/manifest.json`

export async function modelOfVersion(version: string): Promise<string> {
  const folder = await copyOfBundledModel()
  await editManifest(folder, (manifest) => {
    manifest['version'] = version
  })
  return folder
}

/** Made once, by the first test that asks, and copied by each. */
let made: Promise<{ readonly start: string; readonly rolledOut: string }> | undefined
const folder = mkdtempSync(join(tmpdir(), 'sightd-test-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

async function make() {
  const [start, rolledOut] = [join(folder, 'start'), join(folder, 'rolled-out')]
  await mkdir(start)
  await new Operator(start).run('init')
  await cp(start, rolledOut, { recursive: true })
  const operator = new Operator(rolledOut)
  await operator.run('add', bundledModel)
  await operator.run('promote', `${name}/1`, '--group', 'porch', '--percent', '10')
  return { start, rolledOut }
}

/** Someone with a repository that is empty, or has a model on a tenth of the porch. */
export async function copied(which: 'start' | 'rolledOut'): Promise<Operator> {
  const operator = await Operator.start()
  made ??= make()
  await cp((await made)[which], operator.folder, { recursive: true })
  return operator
}
