import { readFileSync } from 'node:fs'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished, vi } from 'vitest'
import type { LibcameraOptions } from '../../src/core/source-options.ts'
import { tempFolder } from './temp-folder.ts'

const standIn = fileURLToPath(new URL('../fixtures/bin/rpicam-vid', import.meta.url))

export type Fault =
  | string
  | { readonly kind: string; readonly afterFrames?: number; readonly [detail: string]: unknown }

/** A configuration for it: small, fast frames, everything else as it is by default. */
export const piCamera: LibcameraOptions = {
  source: 'libcamera',
  width: 320,
  height: 240,
  fps: 30,
  index: 0,
  rotation: 0,
  hflip: false,
  vflip: false,
  exposure: 'normal',
  awb: 'auto',
  autofocus: 'default',
  denoise: 'cdn_off',
}

/** Puts a Raspberry Pi camera on the PATH: the stand-in, under the names that are wanted. */
export async function plugInCamera({ names = ['rpicam-vid'] }: { names?: readonly string[] } = {}) {
  const folder = join(await tempFolder(), 'bin')
  await mkdir(folder)
  await symlink(process.execPath, join(folder, 'node'))
  await setWorld({})
  for (const name of names) await install(name)
  vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`)
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })

  async function setWorld(world: { fault?: Fault; [key: string]: unknown }): Promise<void> {
    await writeFile(join(folder, 'camera.json'), JSON.stringify(world))
  }
  async function install(name: string): Promise<void> {
    await symlink(standIn, join(folder, name))
  }
  async function remove(name: string): Promise<void> {
    await rm(join(folder, name))
  }
  /** What the stand-in noted: starts with their arguments, signals, exits. */
  function log(): { event: string; pid: number; argv?: string[]; signal?: string; code?: number }[] {
    return readFileSync(join(folder, 'camera.log'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  }
  return { folder, setWorld, install, remove, log }
}
