import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  globSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Arch, controlFile } from './control.ts'

const conffiles = ['/etc/sightd/config.yaml']

/** Turns the files in `stage` into a .deb whose bytes depend on nothing but them and `epochS`. Returns the installed size. */
export function buildDeb(
  stage: string,
  out: string,
  { source, arch, version, epochS }: { source: string; arch: Arch; version: string; epochS: number },
): number {
  const files = globSync('**/*', { cwd: stage })
    .filter((path) => !lstatSync(join(stage, path)).isDirectory())
    .sort()
  const control = join(stage, 'DEBIAN')
  mkdirSync(control)
  const write = (name: string, text: string, mode: number) => {
    writeFileSync(join(control, name), text)
    chmodSync(join(control, name), mode)
  }
  const installedBytes = files.reduce((sum, path) => sum + lstatSync(join(stage, path)).size, 0)
  write('control', controlFile(arch, version, Math.ceil(installedBytes / 1024)), 0o644)
  write('conffiles', conffiles.map((path) => `${path}\n`).join(''), 0o644)
  const summed = files.filter((path) => !conffiles.includes(`/${path}`))
  write('md5sums', summed.map((path) => `${md5(join(stage, path))}  ${path}\n`).join(''), 0o644)
  for (const script of ['postinst', 'prerm', 'postrm']) {
    copyFileSync(join(source, 'deploy/package/debian', script), join(control, script))
    chmodSync(join(control, script), 0o755)
  }
  chmodSync(control, 0o755)
  for (const path of ['.', ...globSync('**/*', { cwd: stage }), ...files])
    lutimesSync(join(stage, path), epochS, epochS)

  // One thread: with more, xz cuts its blocks by the machine's cores and memory.
  const form = ['--root-owner-group', '--uniform-compression', '-Zxz', '-z6', '--threads-max=1']
  execFileSync('dpkg-deb', [...form, '--build', stage, out], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epochS), TZ: 'UTC', LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return installedBytes
}

function md5(path: string): string {
  return createHash('md5').update(readFileSync(path)).digest('hex')
}
