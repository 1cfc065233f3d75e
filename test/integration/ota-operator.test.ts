import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { runTrial } from '../../src/cli/trial.ts'
import { bundledModel } from '../../src/daemon.ts'
import { lockPath } from '../../src/lib/path-lock.ts'
import { RunningCommand, terminalProgram } from '../support/command.ts'
import { copyOfBundledModel, editManifest, replaceListedFile } from '../support/models.ts'
import { copied, modelOfVersion, name, pathOf } from '../support/operated-repository.ts'
import { Operator, OtherDevice, passphrase } from '../support/operator.ts'

test('from nothing to a rolled-out, a rolled-back and a revoked model, and every key replaced', {
  timeout: 120_000,
}, async () => {
  const operator = await Operator.start()
  await operator.run('init')
  // One device looks after each step, one sleeps through all of them.
  const awake = await OtherDevice.of(operator.repo)
  const asleep = await OtherDevice.of(operator.repo)
  expect(await asleep.modelOf('porch')).toBe('none')

  expect(await operator.run('add', bundledModel)).toContain(`${name}/1 is approved: 4 files`)
  expect(await operator.run('promote', `${name}/1`, '--group', 'porch', '--percent', '10')).toContain('new group')
  expect(await awake.modelOf('porch')).toBe(pathOf(1))
  expect(await awake.fetch(`models/${name}/1/model.onnx`)).toEqual(await readFile(join(bundledModel, 'model.onnx')))
  expect(await operator.audit()).toMatchObject({
    findings: [],
    models: [{ model: `${name}/1` }],
    groups: [{ group: 'porch', model: `${name}/1`, percent: 10, hold: false }],
    targets: { checked: 5 },
  })

  await operator.run('add', await modelOfVersion('2'))
  await operator.run('promote', `${name}/2`, '--group', 'porch')
  expect(await awake.modelOf('porch')).toBe(pathOf(2))
  await operator.run('rollback', '--group', 'porch')
  expect(await awake.modelOf('porch')).toBe(pathOf(1))
  await operator.run('promote', `${name}/2`, '--group', 'porch')
  await operator.run('hold', '--group', 'porch')
  expect((await operator.audit()).groups).toMatchObject([{ model: `${name}/2`, percent: 100, hold: true }])
  await operator.run('hold', '--group', 'porch', '--release')

  expect(await operator.run('revoke', `${name}/2`)).toContain(`porch: back to ${name}/1`)
  expect(await awake.modelOf('porch')).toBe(pathOf(1))
  expect(await awake.fetch(pathOf(2))).toBeUndefined()
  expect(await operator.fail(['promote', `${name}/2`, '--group', 'porch'])).toContain('was revoked')
  expect(await operator.run('revoke', name)).toContain('porch: on hold')
  expect((await operator.audit()).findings).toEqual([])

  for (const key of ['timestamp', 'snapshot', 'targets', 'deploy', 'root-1', 'root-2', 'root-3']) {
    await operator.run('key', 'rotate', key)
    await awake.modelOf('porch')
    expect((await operator.audit()).findings).toEqual([])
  }
  await operator.run('key', 'revoke', 'deploy')
  await operator.run('key', 'revoke', 'timestamp')
  expect(await operator.run('key', 'revoke', 'root-4')).toContain('no key to spare')
  const { findings, roles } = await operator.audit()
  expect(findings).toEqual([])
  expect(roles).toContainEqual(expect.objectContaining({ role: 'root', version: 9 }))
  expect(await asleep.modelOf('porch')).toBe(pathOf(1))
})

/** Every process that a process has started, and so on. */
function descendantsOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
  return children.flatMap((child) => [child, ...descendantsOf(child)])
}

describe('what it refuses, and how it says so', () => {
  test.each<[string, string[], string]>([
    [
      'a model that was never added',
      ['promote', `${name}/7`, '--group', 'porch'],
      `was never added (did you mean ${name}/1?)`,
    ],
    [
      'a group that has no model',
      ['rollback', '--group', 'proch'],
      'group proch has no model yet (did you mean porch?)',
    ],
    ['a group with one model', ['rollback', '--group', 'porch'], 'never had another model'],
    ['a group that can be no file', ['promote', name, '--group', '../x'], "can't be a group"],
    ['a key that is not there', ['key', 'rotate', 'timestmp'], 'did you mean timestamp?'],
    ['a role with several keys', ['key', 'rotate', 'root'], 'which? root-1, root-2, root-3'],
    ['a second repository', ['init'], 'there is a repository already'],
    ['keys that everyone could fetch', ['refresh', '--keys', 'repository/keys'], "keys don't belong into"],
    ['more than all', ['promote', name, '--group', 'porch', '--percent', '101'], 'a number from 0 to 100'],
    [
      'a root that can never sign',
      ['init', '--repo', 'other', '--root-keys', '1', '--root-threshold', '2'],
      "2 of 1 root keys can't sign",
    ],
  ])('%s', async (_, args, words) => {
    expect(await (await copied('rolledOut')).fail(args)).toContain(words)
  })

  test('keys that everyone could fetch, by whatever name', async () => {
    const operator = await copied('start')
    const folder = (...parts: string[]) => join(operator.folder, ...parts)
    await rename(folder('keys'), folder('repository/..keys'))
    await symlink('repository/..keys', folder('keys'))
    await symlink('repository', folder('public'))
    for (const args of [
      ['refresh'],
      ['refresh', '--keys', 'repository/..keys'],
      ['refresh', '--keys', 'public/..keys'],
      ['refresh', '--repo', 'public', '--keys', 'repository/..keys'],
      ['init', '--keys', 'public/new/keys'],
      ['key', 'new', 'spare', '--keys', 'public/new/keys'],
    ])
      expect(await operator.fail(args)).toContain("keys don't belong into")
    await expect(stat(folder('repository/new'))).rejects.toThrow('ENOENT')
  })

  test('a wrong passphrase, or none', async () => {
    const operator = await copied('start')
    expect(await operator.fail(['refresh'], { passphrase: 'wrong horse' })).toMatch(
      /timestamp-1\.pem: the passphrase is wrong/,
    )
    expect(await operator.fail(['refresh'], { passphrase: undefined })).toContain(
      '--passphrase-file or SIGHTD_OTA_PASSPHRASE',
    )
    await writeFile(join(operator.folder, 'secret'), 'correct horse battery\n', { mode: 0o600 })
    const { code } = await operator.try(['refresh', '--passphrase-file', 'secret'], { passphrase: undefined })
    expect(code).toBe(0)
  })

  test('a private key that others can read', async () => {
    const operator = await copied('start')
    await chmod(join(operator.folder, 'keys/timestamp-1.pem'), 0o644)
    const { code, stderr } = await operator.try(['refresh'])
    expect(code).toBe(78)
    expect(stderr).toContain('timestamp-1.pem: others can read this secret (mode 644); chmod 600 it')
  })

  test('a model that no device would take, before anything is signed', async () => {
    const operator = await copied('start')
    const model = await copyOfBundledModel()
    await replaceListedFile(model, 'model.onnx', Buffer.from('no network'))
    expect(await operator.fail(['add', model])).toContain('refused before ONNX Runtime reads it')
    const ungolden = await copyOfBundledModel()
    await editManifest(ungolden, (manifest) => {
      manifest['golden'] = []
    })
    expect(await operator.fail(['add', ungolden])).toContain('no golden samples')
    expect((await operator.audit()).models).toEqual([])
  })

  test('another model under a name and version that is approved', async () => {
    const operator = await copied('rolledOut')
    expect(await operator.run('add', bundledModel)).toContain('approved already')
    const other = await copyOfBundledModel()
    await editManifest(other, (manifest) => {
      manifest['description'] = 'another'
    })
    expect(await operator.fail(['add', other])).toContain('is approved with other content')
  })

  test('too few root keys', async () => {
    const operator = await copied('start')
    for (const key of ['root-1', 'root-3']) await rm(join(operator.folder, `keys/${key}.pem`))
    expect(await operator.fail(['key', 'rotate', 'timestamp'])).toContain(
      'root has to be signed by 1 more of root-1, root-3',
    )
  })

  test('metadata that someone else has changed', async () => {
    const operator = await copied('rolledOut')
    const path = join(operator.repo, 'metadata/2.targets.json')
    await writeFile(path, (await readFile(path, 'utf8')).replace(/"length":\d+/, '"length":1'))
    expect(await operator.fail(['refresh'])).toContain('its length or digest is not the signed one')
  })

  test('a repository that another command works on', async () => {
    const operator = await copied('start')
    const other = join(operator.folder, 'other')
    await mkdir(other)
    await using _lock = await lockPath('ota', operator.repo)
    await using _otherLock = await lockPath('ota', other)
    expect(await operator.fail(['refresh'])).toContain('another sightd ota works on it')
    expect(await operator.fail(['init', '--repo', 'other'])).toContain('another sightd ota works on it')
    // Who only looks waits for nobody.
    expect((await operator.try(['refresh', '--dry-run'])).code).toBe(0)
  })

  test('a repository that is not there, and makes none', async () => {
    const operator = await Operator.start()
    expect(await operator.fail(['refresh'])).toContain('no repository there')
    expect(await readdir(operator.folder)).toEqual([])
  })

  test('a repository that begins is locked like one that is there', async () => {
    // With keys that are there, so that not they keep a second one off.
    const operator = await copied('start')
    const beginning = Array.from({ length: 4 }, () => operator.try(['init', '--repo', 'other']))
    const codes = (await Promise.all(beginning)).map(({ code }) => code)
    expect(codes.filter((code) => code === 0)).toHaveLength(1)
  })

  test('a clock that went back', async () => {
    const operator = await copied('start')
    expect(await operator.fail(['refresh'], { daysAhead: -1 })).toContain('one of both is wrong')
    expect(await operator.fail(['refresh'], { daysAhead: -20_000 })).toContain('set it first')
  })
})

test('a model that is tried finds no secrets of the operator around it', async () => {
  const model = await copyOfBundledModel()
  const manifest = join(model, 'manifest.json')
  await rm(manifest)
  await promisify(execFile)('mkfifo', [manifest])
  vi.stubEnv('SIGHTD_OTA_PASSPHRASE', passphrase)
  vi.stubEnv('SIGHTD_OTHER', passphrase)
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  const trial = runTrial(model)
  // From here on the process that tries the model waits for us.
  const pipe = await open(manifest, 'w')
  const environments = descendantsOf(process.pid).map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8'))
  await pipe.close()
  expect(await trial).toMatchObject({ type: 'failed' })
  expect(environments).not.toEqual([])
  for (const environment of environments) expect(environment).not.toMatch(/SIGHTD_|horse/)
})

test.skipIf(terminalProgram === undefined)('a passphrase that is typed is not shown, and asked for again', async () => {
  const operator = await copied('start')
  const args = ['ota', 'refresh', '--repo', operator.repo, '--keys', join(operator.folder, 'keys')]
  const typing = new RunningCommand(args, { onTerminal: true, env: { SIGHTD_OTA_PASSPHRASE: '' } })
  const asked = (count: number) => typing.until(({ stdout }) => stdout.split('passphrase of').length > count)
  await asked(1)
  typing.type('wrong horse\r')
  await asked(2)
  typing.type(`${passphrase}x\x7f\r`)
  expect(await typing.exited).toBe(0)
  expect(typing.stdout).toContain('signed anew: timestamp')
  expect(typing.stdout).not.toContain('horse')
})

test('a smaller share is done, with a warning that it brings nothing back', async () => {
  const operator = await copied('rolledOut')
  const groups = async () => (await operator.audit()).groups
  const [{ salt, from }] = await groups()
  await operator.run('promote', name, '--group', 'porch', '--percent', '50')
  // The devices that were first stay first.
  expect(await groups()).toMatchObject([{ percent: 50, salt, from }])
  expect(await operator.run('promote', name, '--group', 'porch', '--percent', '12.5')).toContain(
    'a smaller share takes it from no device',
  )
  expect(await groups()).toMatchObject([{ percent: 12.5 }])
})

test('other numbers of keys and days, and files that a web server may read', async () => {
  const operator = await Operator.start()
  await operator.run('init', '--root-keys', '1', '--days', 'timestamp=14', '--days', 'root=90')
  await operator.run('refresh')
  const { roles } = await operator.audit()
  const daysOf = (role: string) => roles.find((one: { role: string }) => one.role === role).days_left
  expect(['root', 'targets', 'timestamp'].map((role) => Math.ceil(daysOf(role)))).toEqual([90, 180, 14])
  const { keys, thresholds } = JSON.parse((await operator.try(['key', 'list', '--json'])).stdout)
  expect(thresholds).toMatchObject({ root: 1, targets: 1 })
  expect(keys).toHaveLength(5)
  expect(keys).toContainEqual(expect.objectContaining({ name: 'root-1', roles: ['root'], private: true }))
  expect((await stat(join(operator.repo, 'metadata/timestamp.json'))).mode & 0o777).toBe(0o644)
})

test('what has expired is found, and mended by refresh', async () => {
  const operator = await copied('rolledOut')
  const { code, stdout } = await operator.try(['audit'], { daysAhead: 40 })
  expect(code).toBe(1)
  for (const role of ['timestamp', 'snapshot', 'deploy']) expect(stdout).toMatch(new RegExp(`FINDING ${role} expired`))
  expect((await operator.try(['refresh'], { daysAhead: 40 })).code).toBe(0)
  expect((await operator.audit({ daysAhead: 40 })).findings).toEqual([])
  expect((await operator.audit({ daysAhead: 200 })).findings).toContainEqual(expect.stringMatching(/^targets expired/))
  expect((await operator.try(['refresh', 'root', 'targets'], { daysAhead: 400 })).code).toBe(0)
  expect((await operator.audit({ daysAhead: 400 })).findings).toEqual([])
})

test('a file that is damaged, longer, or gone is found', async () => {
  const operator = await copied('rolledOut')
  const names = [...operator.files().keys()].filter((file) => file.startsWith('repository/targets/models'))
  const [first = '', second = '', third = ''] = names
  const bytes = await readFile(join(operator.folder, first))
  bytes[0] = (bytes[0] ?? 0) ^ 1
  await writeFile(join(operator.folder, first), bytes)
  await rm(join(operator.folder, second))
  await writeFile(join(operator.folder, third), 'x', { flag: 'a' })
  const { findings } = await operator.audit()
  expect(findings).toHaveLength(3)
  expect(findings.join()).toMatch(/its sha256 is/)
})

describe('--dry-run', () => {
  test.each([
    [['add', bundledModel]],
    [['promote', name, '--group', 'garden']],
    [['hold', '--group', 'porch']],
    [['revoke', name]],
    [['refresh', 'root', 'targets', 'deploy']],
    [['key', 'rotate', 'root-1']],
    [['key', 'revoke', 'deploy']],
    [['key', 'new', 'spare']],
    [['key', 'rotate', 'timestamp', '--unsigned', 'x.json']],
    [['init', '--repo', 'other', '--keys', 'others']],
  ])('%j changes no byte', async (args) => {
    const operator = await copied('rolledOut')
    const before = operator.files()
    const { code, stdout } = await operator.try([...args, '--dry-run', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ dry_run: true })
    expect(operator.files()).toEqual(before)
  })
})
