import { describe, expect, test } from 'vitest'
import { bundledModel } from '../../src/daemon.ts'
import { copied, modelOfVersion, name } from '../support/operated-repository.ts'
import type { Operator } from '../support/operator.ts'

/** Model 1 on the porch, model 2 with rollback index 3 after it. */
async function raised(): Promise<Operator> {
  const operator = await copied('rolledOut')
  await operator.run('add', await modelOfVersion('2'), '--rollback-index', '3')
  await operator.run('promote', `${name}/2`, '--group', 'porch')
  return operator
}

const warned = `${name}/1 has rollback index 0, ${name}/2 has 3: devices that have run ${name}/2 will refuse it`

describe('a rollback index', () => {
  test('is signed with the model, and audit tells it', async () => {
    const operator = await raised()
    expect(await operator.audit()).toMatchObject({
      findings: [],
      models: [
        { model: `${name}/1`, rollback_index: 0 },
        { model: `${name}/2`, rollback_index: 3 },
      ],
    })
    const { stdout } = await operator.try(['audit'])
    expect(stdout).toMatch(new RegExp(`${name}/2, .*, rollback index 3\n`))
    expect(stdout).not.toContain('rollback index 0')
  })

  test('is shown to who signs it', async () => {
    const operator = await raised()
    await operator.run('refresh', 'targets', '--unsigned', 'change.json')
    const shown = await operator.run('sign', 'change.json', '--key', 'keys/targets-1.pem', '--dry-run')
    expect(shown).toMatch(new RegExp(`${name}/2, \\d+ bytes, rollback index 3\n`))
    expect(shown).toContain('"rollback_index":3')
  })

  test('warns who goes below it by promote, by rollback or by revoke, and only then', async () => {
    const operator = await raised()
    expect(await operator.run('promote', `${name}/2`, '--group', 'porch', '--dry-run')).not.toContain('warning')
    expect(await operator.run('promote', `${name}/1`, '--group', 'garden', '--dry-run')).not.toContain('refuse')
    expect(await operator.run('promote', `${name}/1`, '--group', 'porch', '--dry-run')).toContain(warned)
    expect(await operator.run('revoke', `${name}/2`, '--dry-run')).toContain(warned)
    const { stdout, stderr } = await operator.try(['rollback', '--group', 'porch', '--json'])
    expect(JSON.parse(stdout).warnings).toEqual([`porch: ${warned}`])
    expect(stderr).toContain(warned)
  })

  test('warns of earlier models of the group as well', async () => {
    const operator = await raised()
    await operator.run('add', await modelOfVersion('3'), '--rollback-index', '2')
    expect(await operator.run('promote', `${name}/3`, '--group', 'porch')).toContain(`${name}/2 has 3`)
    const { warnings } = JSON.parse(
      (await operator.try(['promote', `${name}/1`, '--group', 'porch', '--json', '--dry-run'])).stdout,
    )
    expect(warnings).toEqual([
      `porch: ${name}/1 has rollback index 0, ${name}/3 has 2 and ${name}/2 has 3: ` +
        `devices that have run ${name}/3 or ${name}/2 will refuse it`,
    ])
  })

  test('of an approved model stays as it is', async () => {
    const operator = await copied('rolledOut')
    expect(await operator.fail(['add', bundledModel, '--rollback-index', '1'])).toContain(
      `${name}/1 is approved with rollback index 0, not 1`,
    )
  })

  test.each(['-1', '1.5', '2147483648', 'x', ''])('can not be %j', async (text) => {
    const operator = await copied('start')
    const { code, stderr } = await operator.try(['add', bundledModel, `--rollback-index=${text}`])
    expect([code, stderr]).toEqual([2, expect.stringContaining('a whole number from 0 to 2147483647')])
  })
})
