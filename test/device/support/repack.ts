import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { bundledModel } from '../../../src/daemon.ts'
import { packageRoot } from '../../../src/lib/package.ts'

/** Makes of a package one of another version: its program and its model say that version, and its configuration is another. */
export function repack(deb: string, out: string, version: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'sightd-repack-'))
  const change = (path: string, from: RegExp, to: string) => {
    const text = readFileSync(join(folder, path), 'utf8')
    if (!from.test(text)) throw new Error(`${path} has no ${from}`)
    writeFileSync(join(folder, path), text.replace(from, to))
  }
  try {
    execFileSync('dpkg-deb', ['--raw-extract', deb, folder])
    change('DEBIAN/control', /^Version: .*$/m, `Version: ${version}-1`)
    change('usr/lib/sightd/package.json', /"version": ".*?"/, `"version": "${version}"`)
    change(
      `usr/lib/sightd/${relative(packageRoot, bundledModel)}/manifest.json`,
      /"version": ".*?"/,
      `"version": "${version}"`,
    )
    appendFileSync(join(folder, 'etc/sightd/config.yaml'), '# new\n')
    execFileSync('dpkg-deb', ['-Znone', '--root-owner-group', '--build', folder, out], { stdio: 'pipe' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
