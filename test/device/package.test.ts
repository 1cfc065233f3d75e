import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { needs } from '../../deploy/package/control.ts'
import { packageRoot } from '../../src/lib/package.ts'
import { findProgram } from '../support/mosquitto.ts'
import { archs, controlOf, isElf, listPackage, unpack } from './packages.ts'

const machines = { arm64: 'AArch64', amd64: 'Advanced Micro Devices X86-64' }
const others = { arm64: /x64|x86|amd64|musl|darwin|win32/, amd64: /arm64|aarch64|musl|darwin|win32/ }
const mostBytes = 60e6

const packages = inject('packages')

describe.each(archs)('the package for %s', (arch) => {
  const deb = packages[arch] ?? ''
  const isBuilt = deb !== ''
  const hasReadelf = isBuilt && findProgram('readelf') !== undefined
  const hasLintian = isBuilt && findProgram('lintian') !== undefined
  let root = ''
  let binaries: string[] = []
  let entries: ReturnType<typeof listPackage> = []

  beforeAll(() => {
    if (!isBuilt) return
    root = mkdtempSync(join(tmpdir(), 'sightd-test-'))
    unpack(deb, root)
    entries = listPackage(deb)
    const candidates = globSync(['**/*.node', '**/*.so*', '**/bin/*'], { cwd: root })
    binaries = candidates.filter((path) => statSync(join(root, path)).isFile() && isElf(join(root, path)))
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  test.skipIf(!isBuilt)('is small enough for a slow line', () => {
    expect(statSync(deb).size).toBeLessThanOrEqual(mostBytes)
  })

  test.skipIf(!isBuilt)('belongs to root, and nobody else may write it or become root by it', () => {
    expect(entries.length).toBeGreaterThan(500)
    const wrong = entries.filter(({ mode, owner }) => owner !== 'root/root' || !/^[-d]rw[-x]r-[-x]r-[-x]$/.test(mode))
    expect(wrong).toEqual([])
    const programs = entries.filter(({ mode }) => mode === '-rwxr-xr-x').map(({ path }) => path)
    expect(programs.sort()).toEqual([
      'usr/bin/sightd',
      'usr/lib/sightd/deploy/camera-shim/libcamera-vid',
      'usr/lib/sightd/node/bin/node',
    ])
  })

  test.skipIf(!isBuilt)('holds nothing that a device never loads', () => {
    const paths = entries.map(({ path }) => path)
    const { devDependencies }: { devDependencies: Record<string, string> } = JSON.parse(
      readFileSync(join(packageRoot, 'package.json'), 'utf8'),
    )
    const developing = [...Object.keys(devDependencies), '@types', 'npm', 'adm-zip', 'global-agent']
    const isIdle = (path: string) =>
      /\.(map|ts|mts|cts|md|exe|dll|dylib|h|py|gyp)$/.test(path) ||
      others[arch].test(path.replace(/^.*node_modules/, ''))
    const inLib = paths.filter((path) => path.startsWith('usr/lib/sightd/'))
    expect(
      inLib.filter(isIdle).filter((path) => !/LICEN[CS]E|deploy\/demo\/|sharp-libvips.*README/i.test(path)),
    ).toEqual([])
    for (const name of developing) expect(paths).not.toContain(`usr/lib/sightd/node_modules/${name}/`)
  })

  test.skipIf(!isBuilt)('has each module that its program imports, also those that are imported late', () => {
    const dist = join(root, 'usr/lib/sightd/dist')
    const imports = globSync('**/*.js', { cwd: dist }).flatMap((path) => {
      const text = readFileSync(join(dist, path), 'utf8')
      return [...text.matchAll(/(?:from |import\(|import )['"](\.[^'"]*)['"]/g)].map(([, name = '']) =>
        join(dist, dirname(path), name),
      )
    })
    expect(imports.length).toBeGreaterThan(500)
    expect(imports.filter((path) => !existsSync(path))).toEqual([])
  })

  test.skipIf(!isBuilt)('recommends what a camera needs, and wants none of it', () => {
    const control = controlOf(deb, 'control')
    expect(control).toMatch(/^Recommends: .*\brpicam-apps/m)
    expect(control).toMatch(/^Suggests: .*\bffmpeg\b.*\bmosquitto\b/m)
    expect(control).not.toMatch(/^Depends: .*(rpicam|ffmpeg|mosquitto|npm|nodejs)/m)
  })

  test.skipIf(!isBuilt)('has one configuration file, and all else is checked by its sum', () => {
    expect(controlOf(deb, 'conffiles')).toBe('/etc/sightd/config.yaml\n')
    execFileSync('md5sum', ['--check', '--quiet', '-'], { cwd: root, input: controlOf(deb, 'md5sums') })
    const summed = controlOf(deb, 'md5sums').trim().split('\n').length
    expect(summed).toBe(entries.filter(({ mode }) => mode.startsWith('-')).length - 1)
  })

  test.skipIf(!isBuilt)('has a licence for each package of others', () => {
    const copyright = readFileSync(join(root, 'usr/share/doc/sightd/copyright'), 'utf8')
    const folders = globSync('usr/lib/sightd/node_modules/{*,@*/*}/package.json', { cwd: root }).map((path) =>
      path.replace('/package.json', ''),
    )
    expect(folders.length).toBeGreaterThan(40)
    for (const folder of folders) expect(copyright).toContain(`\nFiles: ${folder}/*\n`)
    const given = new Set([...copyright.matchAll(/^License: (.*)\n [^\n]/gm)].map(([, name]) => name))
    for (const [, names = ''] of copyright.matchAll(/^License: (.*)$/gm))
      for (const name of names.split(/ (?:and|or) /)) expect(given).toContain(name)
  })

  test.skipIf(!hasReadelf)('runs on its architecture alone, and stripping broke nothing (needs readelf)', () => {
    const base = 'usr/lib/sightd'
    expect(binaries.map((path) => path.replace(/^.*\//, '')).sort()).toEqual([
      'libonnxruntime.so.1',
      expect.stringMatching(/^libvips-cpp\.so/),
      'node',
      'onnxruntime_binding.node',
      expect.stringMatching(/^sharp-linux-.*\.node$/),
    ])
    expect(binaries.every((path) => path.startsWith(base))).toBe(true)
    for (const path of binaries) {
      const text = readelf(join(root, path), '--file-header', '--section-headers', '--program-headers', '--dyn-syms')
      const told = text.split('\n').filter((line) => /^readelf: |^ +Machine:| \.(symtab|debug_)/.test(line))
      expect(told).toEqual([expect.stringMatching(`Machine: +${machines[arch]}$`)])
    }
  })

  test.skipIf(!hasReadelf)('asks for no newer libraries than it depends on (needs readelf)', () => {
    const texts = binaries.map((path) => readelf(join(root, path), '--version-info', '--dynamic'))
    const newest = (prefix: string) =>
      texts
        .flatMap((text) =>
          [...text.matchAll(new RegExp(`\\b${prefix}_([0-9.]+)`, 'g'))].map(([, version = '']) => version),
        )
        .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
        .at(-1)
    expect(newest('GLIBC')).toBe(needs.glibc)
    expect(needs.glibc.localeCompare('2.36', 'en', { numeric: true })).toBeLessThanOrEqual(0)
    // The newest of libstdc++ 6 (GCC 6.1).
    expect(newest('GLIBCXX')).toBe('3.4.22')

    const names = (kind: string) =>
      texts.flatMap((text) => [...text.matchAll(new RegExp(`\\(${kind}\\).*\\[(.*)\\]`, 'g'))].map(([, name]) => name))
    const fromDebian = /^(ld-linux-.*|lib(c|m|dl|rt|pthread|resolv|stdc\+\+|gcc_s))\.so/
    const shipped = names('SONAME')
    expect(names('NEEDED').filter((name) => !fromDebian.test(name ?? '') && !shipped.includes(name))).toEqual([])
  })

  test.skipIf(!hasLintian)('is as Debian wants packages (needs lintian)', () => {
    const told = execFileSync('lintian', ['--allow-root', '--fail-on', 'none', deb], { encoding: 'utf8' })
    expect(told.split('\n').filter((line) => /^[EW]:/.test(line))).toEqual([])
  })
})

function readelf(path: string, ...options: string[]): string {
  return execFileSync('sh', ['-c', 'readelf --wide "$@" 2>&1', 'sh', ...options, path], {
    encoding: 'utf8',
    maxBuffer: 1e9,
    env: { ...process.env, LC_ALL: 'C' },
  })
}
