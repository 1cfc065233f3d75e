import { describe, expect, test } from 'vitest'
import { SightdError } from '../../../src/core/errors.ts'
import type { UpdateControl } from '../../../src/core/update-status.ts'
import { CommandDesk } from '../../../src/mqtt/commands.ts'
import { broadcastCommands, deviceCommands } from '../../../src/mqtt/device-commands.ts'
import { deviceTopics } from '../../../src/mqtt/topics.ts'
import { notingUpdates, updateStatus } from '../../support/updates.ts'

const topics = deviceTopics('sightd', 'porch')

function deskOf(updates: UpdateControl | undefined) {
  const answers: object[] = []
  const device = {
    info: () => ({}),
    takePicture: () => undefined,
    restart: async () => {},
    settings: () => ({ config: {}, overlay: {} }),
    change: async () => undefined,
    updates,
    updateStatus: () => updateStatus({ phase: 'check' }),
  }
  const desk = new CommandDesk({
    topics,
    commands: deviceCommands(device, () => {}),
    properties: {},
    broadcast: broadcastCommands,
    maxBroadcastDelayMs: 0,
    reply: ({ topic, payload }) => answers.push({ topic, ...JSON.parse(`${payload}`) }),
    log: { info: () => {}, warn: () => {} },
    signal: new AbortController().signal,
  })
  return {
    answers,
    ask: (topic: string, payload = '') => desk.take({ topic, payload: Buffer.from(payload), isRetained: false }),
  }
}

const commands = [
  ['check_update', 'check'],
  ['install_update', 'install'],
  ['cancel_update', 'cancel'],
  ['pause_updates', 'pause'],
  ['resume_updates', 'resume'],
  ['retry_update', 'retry'],
  ['rollback_model', 'rollback'],
] as const

describe('commands on updates', () => {
  test.each(commands)('%s is passed on as %s, and answered with how updates stand', async (command, asked) => {
    const updates = notingUpdates()
    const { ask, answers } = deskOf(updates)
    await ask(`sightd/porch/request/${command}`, '{"transaction":"a"}')
    await ask(`sightd/porch/request/${command}`)
    expect(updates.asked).toEqual([asked, asked])
    const answer = {
      topic: `sightd/porch/response/${command}`,
      status: 'ok',
      data: { update: updateStatus({ phase: 'check' }) },
    }
    expect(answers).toEqual([{ ...answer, transaction: 'a' }, answer])
  })

  test.each(commands)('%s wants nothing else', async (command) => {
    const updates = notingUpdates()
    const { ask, answers } = deskOf(updates)
    await ask(`sightd/porch/request/${command}`, '{"url":"http://evil"}')
    expect(updates.asked).toEqual([])
    expect(answers).toMatchObject([{ status: 'error', error: { code: 'invalid', message: 'url: unknown key' } }])
  })

  test.each(commands)('%s is turned off where there is nowhere to look', async (command) => {
    const { ask, answers } = deskOf(undefined)
    await ask(`sightd/porch/request/${command}`)
    expect(answers).toMatchObject([
      { status: 'error', error: { code: 'turned_off', message: expect.stringContaining('`ota.sources`') } },
    ])
  })

  test('what the updater refuses is said, with its code', async () => {
    const updates: UpdateControl = {
      ...notingUpdates(),
      rollback: async () => {
        throw new SightdError('update_refused', 'there is no model before this one')
      },
    }
    const { ask, answers } = deskOf(updates)
    await ask('sightd/porch/request/rollback_model')
    expect(answers).toMatchObject([
      { status: 'error', error: { code: 'update_refused', message: 'there is no model before this one' } },
    ])
  })

  test('of them only check_update may be asked of all', async () => {
    const updates = notingUpdates()
    const { ask, answers } = deskOf(updates)
    for (const [command] of commands) await ask(`sightd/all/request/${command}`)
    expect(updates.asked).toEqual(['check'])
    expect(answers).toMatchObject([{ topic: 'sightd/porch/response/check_update', status: 'ok' }])
  })
})
