import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { packageVersions } from '../../src/lib/package.ts'
import { findProgram } from '../support/mosquitto.ts'
import { hostArch, unpack } from './packages.ts'

const deb = hostArch && inject('packages')[hostArch]

describe.skipIf(deb === undefined)('the package of this architecture, unpacked into a folder', () => {
  let root = ''
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'sightd-test-'))
    unpack(deb ?? '', root)
    mkdirSync(join(root, 'essential'))
    const files = execFileSync('dpkg', ['--listfiles', 'coreutils', 'util-linux'], { encoding: 'utf8' }).split('\n')
    for (const path of files.filter((file) => /\/s?bin\/./.test(file)))
      symlinkSync(path, join(root, 'essential', basename(path)))
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  /** Nothing is there but what every Debian has: no npm, no Node of the machine, no ffmpeg. */
  const sightd = (...args: string[]) =>
    spawnSync(join(root, 'usr/bin/sightd'), args, {
      encoding: 'utf8',
      cwd: root,
      env: { PATH: join(root, 'essential'), HOME: root },
    })

  test('says its version', () => {
    expect(sightd('--version')).toMatchObject({ status: 0, stdout: `${packageVersions().own}\n`, stderr: '' })
  })

  test('doctor finds the model in order', () => {
    const { stdout, stderr } = sightd('doctor', '--json')
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ check: 'model', status: 'ok' }))
  })

  test('run --demo sees the cat', () => {
    const { status, stdout, stderr } = sightd('run', '--demo', '--max-frames', '5')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/"what":"cat 0\.\d+","msg":"sees"/)
  })

  test('reads, draws and writes pictures', () => {
    const photo = 'usr/lib/sightd/deploy/demo/1-chelsea.jpg'
    expect(sightd('infer', photo, '--annotate', 'out')).toMatchObject({ status: 0 })
    expect(sightd('infer', 'out/1-chelsea.jpg')).toMatchObject({ status: 0, stdout: expect.stringContaining('cat') })
  })

  test('its configuration is right', () => {
    expect(sightd('config', 'check', 'etc/sightd/config.yaml')).toMatchObject({ status: 0, stderr: '' })
  })

  test('an operator can make a repository and put a model into it', () => {
    const env = { PATH: join(root, 'essential'), HOME: root, SIGHTD_OTA_PASSPHRASE: 'correct horse battery staple' }
    const ota = (...args: string[]) =>
      spawnSync(join(root, 'usr/bin/sightd'), ['ota', ...args], { encoding: 'utf8', cwd: root, env })
    expect(ota('init')).toMatchObject({ status: 0 })
    expect(ota('add', 'usr/lib/sightd/models/ssdlite-mobilenet-v2-coco/1')).toMatchObject({ status: 0 })
  })

  test.skipIf(findProgram('man') === undefined)('has a manual without mistakes (needs man)', () => {
    const { stdout, stderr } = spawnSync('man', ['--warnings', '-l', join(root, 'usr/share/man/man1/sightd.1.gz')], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], MANWIDTH: '120', LC_ALL: 'C.UTF-8' },
    })
    expect(stderr).toBe('')
    expect(stdout).toMatch(/sightd - watches a camera/)
    expect(stdout).toMatch(/78 +wrong configuration/)
    expect(stdout).not.toMatch(/`|\*\*|\]\(/)
  })

  test.skipIf(findProgram('bash') === undefined)('completes commands and options in bash (needs bash)', () => {
    const script = join(root, 'usr/share/bash-completion/completions/sightd')
    const lines = `source ${script}\nCOMP_WORDS=("$@") COMP_CWORD=$(($# - 1))\n_sightd\nIFS=,; echo "\${COMPREPLY[*]}"`
    const complete = (...words: string[]) =>
      spawnSync('bash', ['-c', lines, 'bash', ...words], { encoding: 'utf8' })
        .stdout.trim()
        .split(',')
    expect(complete('sightd', 'd')).toEqual(['doctor', 'decommission'])
    expect(complete('sightd', 'run', '--de')).toEqual(['--demo'])
    expect(complete('sightd', 'ota', 'key', 'r')).toEqual(['rotate', 'revoke'])
    expect(complete('sightd', 'run', '--config', '')).toEqual([''])
  })
})
