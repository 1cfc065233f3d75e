import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bundledModel } from '../../src/daemon.ts'
import { makeKey } from '../../src/ota/key-files.ts'
import { RunningCommand, terminalProgram } from '../support/command.ts'
import { copied, name, pathOf } from '../support/operated-repository.ts'
import { Operator, OtherDevice } from '../support/operator.ts'

describe('keys on another machine', () => {
  test('targets and root are signed there, and imported here', { timeout: 60_000 }, async () => {
    const here = await copied('start')
    const there = await Operator.start()
    await cp(join(here.folder, 'keys'), join(there.folder, 'keys'), { recursive: true })
    for (const key of ['root-1', 'root-2', 'root-3', 'targets-1']) await rm(join(here.folder, `keys/${key}.pem`))
    const carry = (from: Operator, to: Operator) => cp(join(from.folder, 'change.json'), join(to.folder, 'change.json'))

    expect(await here.fail(['add', bundledModel])).toContain('targets has to be signed by 1 more of targets-1')
    expect(await here.run('add', bundledModel, '--unsigned', 'change.json')).toContain('ota import change.json')
    expect((await here.audit()).models).toEqual([])
    expect(await here.fail(['import', 'change.json'])).toContain('1 more of targets-1')
    await carry(here, there)
    expect(await there.fail(['sign', 'change.json', '--key', 'keys/deploy-1.pem'])).toContain(
      'nothing in it is to be signed',
    )
    expect(await there.run('sign', 'change.json', '--key', 'keys/targets-1.pem')).toContain(`${name}/1`)
    await carry(there, here)
    await here.run('import', 'change.json')
    expect(await here.audit()).toMatchObject({ findings: [], models: [{ model: `${name}/1` }] })
    expect(await here.fail(['import', 'change.json'])).toContain('something else came in between')

    const device = await OtherDevice.of(here.repo)
    await here.run('key', 'rotate', 'timestamp', '--unsigned', 'change.json')
    await carry(here, there)
    await there.run('sign', 'change.json', '--key', 'keys/root-1.pem')
    await carry(there, here)
    expect(await here.fail(['import', 'change.json'])).toContain('root has to be signed by 1 more of root-2, root-3')
    await there.run('sign', 'change.json', '--key', 'keys/root-3.pem')
    await carry(there, here)
    await here.run('import', 'change.json')
    expect((await here.audit()).findings).toEqual([])
    expect(await device.fetch(pathOf(1))).toBeDefined()
  })

  test('what was changed on the way is refused', async () => {
    const operator = await copied('rolledOut')
    await operator.run('revoke', name, '--unsigned', 'change.json')
    const path = join(operator.folder, 'change.json')
    await writeFile(path, (await readFile(path, 'utf8')).replace('x-sightd-revoked', 'x-sightd-forgiven'))
    // Though the keys are here.
    expect(await operator.fail(['import', 'change.json'])).toContain('too few of the keys')
  })

  test('who signs is shown all of it, whatever it is called', async () => {
    const operator = await copied('rolledOut')
    await operator.run('refresh', 'targets', '--unsigned', 'change.json')
    const path = join(operator.folder, 'change.json')
    await writeFile(
      path,
      (await readFile(path, 'utf8')).replace('"role": "targets"', '"role": "deploy"').replaceAll(name, 'x\\u001b[2J'),
    )
    const shown = await operator.run('sign', 'change.json', '--key', 'keys/targets-1.pem', '--dry-run')
    expect(shown).toContain('  x?[2J/1, 5548469 bytes')
    expect(shown).toContain("  desired/*: 1 of deploy's keys")
  })

  test('who signs is shown each file, also one that hides below another model', async () => {
    const operator = await copied('rolledOut')
    await operator.run('refresh', 'targets', '--unsigned', 'change.json')
    const path = join(operator.folder, 'change.json')
    const hidden = [`models/${name}/1/golden/manifest.json`, 'models/manifest.json', 'desired/porch.json', 'x']
    const change = JSON.parse(await readFile(path, 'utf8'))
    const sha256 = 'ab'.repeat(32)
    for (const file of hidden) change.drafts[0].signed.targets[file] = { length: 7, hashes: { sha256 } }
    await writeFile(path, JSON.stringify(change))
    const shown = await operator.run('sign', 'change.json', '--key', 'keys/targets-1.pem', '--dry-run')
    for (const file of [...hidden, ...Object.keys(change.drafts[0].signed.targets)])
      expect(shown).toContain(`  ${file}, `)
    expect(shown.match(new RegExp(`, 7 bytes, sha256 ${sha256}`, 'g'))).toHaveLength(hidden.length)
  })

  test.skipIf(terminalProgram === undefined)(
    'who signs is shown what the file says before the passphrase is asked for',
    async () => {
      const operator = await copied('rolledOut')
      await operator.run('refresh', 'targets', '--unsigned', 'change.json')
      const file = join(operator.folder, 'change.json')
      const before = await readFile(file, 'utf8')
      const args = ['ota', 'sign', file, '--key', join(operator.folder, 'keys/targets-1.pem')]
      const signing = new RunningCommand(args, { onTerminal: true, env: { SIGHTD_OTA_PASSPHRASE: '' } })
      await signing.until(({ stdout }) => stdout.includes('passphrase of'))
      const [shown = ''] = signing.stdout.split('passphrase of')
      expect(shown).toContain(`models/${name}/1/model.onnx, 5091459 bytes`)
      signing.type('\x03')
      expect(await signing.exited).toBe(1)
      expect(await readFile(file, 'utf8')).toBe(before)
    },
  )

  test('with --json a person is shown it all the same, and a program reads JSON only', async () => {
    const operator = await copied('rolledOut')
    await operator.run('refresh', 'targets', '--unsigned', 'change.json')
    const args = ['sign', 'change.json', '--key', 'keys/targets-1.pem', '--json']
    const { stdout, stderr } = await operator.try(args)
    expect(JSON.parse(stdout)).toMatchObject({ file: 'change.json', signed: [{ role: 'targets', version: 3 }] })
    expect(stderr).toContain(`models/${name}/1/model.onnx, 5091459 bytes`)
  })

  test('a repository can be begun with public parts only', async () => {
    const here = await Operator.start()
    const there = await Operator.start()
    await there.run('key', 'new', 'root-1')
    await cp(join(there.folder, 'keys/root-1.pub.json'), join(here.folder, 'keys/root-1.pub.json'))
    await here.run('init', '--root-keys', '1', '--unsigned', 'change.json')
    await there.run('sign', join(here.folder, 'change.json'), '--key', 'keys/root-1.pem')
    await here.run('import', 'change.json')
    expect((await here.audit()).findings).toEqual([])
  })

  test.each([
    ['in the place of all others', () => []],
    ['beside one’s own', (ids: readonly string[]) => ids],
  ])('the first import takes no root with a key of someone else, %s', async (_, kept) => {
    const here = await Operator.start()
    await here.run('init', '--root-threshold', '1', '--unsigned', 'change.json')
    const path = join(here.folder, 'change.json')
    const change = JSON.parse(await readFile(path, 'utf8'))
    const [root] = change.drafts
    const { signer } = makeKey('mallory')
    root.signed.keys[signer.id] = signer.key
    root.signed.roles.root.keyids = [...kept(root.signed.roles.root.keyids), signer.id]
    // They say by themselves who has to sign.
    root.needs = [root.signed.roles.root]
    root.signatures = [signer.sign(root.signed)]
    await writeFile(path, JSON.stringify(change))
    expect(await here.fail(['import', 'change.json'])).toContain(
      `key ${signer.id.slice(0, 16)} has no .pub.json in ${here.folder}/keys: it is not one of yours`,
    )
    expect([...here.files().keys()].filter((file) => file.startsWith('repository/metadata'))).toEqual([])
  })
})
