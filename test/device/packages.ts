import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot, packageVersions } from '../../src/lib/package.ts'

export const archs = ['arm64', 'amd64'] as const
export type Arch = (typeof archs)[number]

/** Which of them this machine can run. */
export const hostArch: Arch | undefined = { x64: 'amd64' as const, arm64: 'arm64' as const }[String(process.arch)]

export function packagePath(folder: string, arch: Arch, revision = '1'): string {
  return join(folder, `sightd_${packageVersions().own}-${revision}_${arch}.deb`)
}

/** Builds as `npm run package` does; resolves to what it prints. With `shell`, by way of a line that ends in `"$@"`. */
export async function runPackager(arch: Arch, out: string, { revision = '1', shell = '"$@"', cwd = packageRoot } = {}) {
  const command = [process.execPath, join(packageRoot, 'deploy/package/main.ts')]
  const args = ['--arch', arch, '--out', out, '--revision', revision]
  const { stdout } = await promisify(execFile)('sh', ['-c', shell, 'sh', ...command, ...args], { cwd })
  return stdout
}

/** Every file and folder of a package with owner and mode, as `dpkg-deb --contents` lists them. */
export function listPackage(path: string): { mode: string; owner: string; path: string }[] {
  const text = execFileSync('dpkg-deb', ['--contents', path], { encoding: 'utf8', maxBuffer: 1e8 })
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [mode = '', owner = '', , , , ...name] = line.split(/\s+/)
      return { mode, owner, path: name.join(' ').replace(/^\.\//, '') }
    })
}

export function unpack(path: string, folder: string): void {
  execFileSync('dpkg-deb', ['--extract', path, folder])
}

/** What a file of DEBIAN/ says. */
export function controlOf(path: string, file: string): string {
  return execFileSync('dpkg-deb', ['--info', path, file], { encoding: 'utf8' })
}

export function isElf(path: string): boolean {
  return readFileSync(path).subarray(0, 4).toString('latin1') === '\x7fELF'
}
