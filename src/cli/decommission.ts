import { createInterface } from 'node:readline'
import { exitCodes } from '../core/errors.ts'
import { BrokerError } from '../mqtt/broker-error.ts'
import { defaultDeviceId, readBoard } from '../system/board.ts'
import { type BrokerOptions, chooseBroker, describeTrouble } from './broker.ts'
import { type Outcome, takeAway } from './decommission-steps.ts'
import { printable, printableJson } from './text.ts'

export type DecommissionOptions = BrokerOptions & {
  readonly id?: string
  readonly yes?: boolean
  readonly force?: boolean
  readonly json?: boolean
}

const usualPrefix = 'homeassistant'

/** More topics or devices than these are not listed. */
const maxListed = 20

/** `sightd decommission`: nothing of a device that is taken away is left at the broker. */
export async function decommission(options: DecommissionOptions, signal: AbortSignal): Promise<number> {
  const { yes = false, force = false, json = false } = options
  if (!yes && !(process.stdin.isTTY && process.stderr.isTTY))
    return complain('it asks before it clears anything; without a terminal, add --yes', exitCodes.usage)
  const broker = await chooseBroker(options)
  const id = options.id ?? broker.config?.id ?? (broker.config && (await defaultDeviceId(await readBoard())))
  if (id === undefined) return complain('without a configuration, --id has to name the device', exitCodes.usage)
  const place = `${id} at ${broker.url}`
  try {
    const outcome = await takeAway(
      {
        broker,
        id,
        prefix: broker.config?.home_assistant.prefix ?? usualPrefix,
        isForced: force,
        mayBegin: async (topics) => yes || (await ask(place, topics, signal)),
      },
      signal,
    )
    return tell(outcome, { id, place, url: broker.url, json })
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    return complain(
      signal.aborted ? `${place}: stopped before all was cleared` : describeTrouble(error, broker.url),
      exitCodes.failure,
    )
  }
}

async function ask(place: string, topics: readonly string[], signal: AbortSignal): Promise<boolean> {
  const more = topics.length > maxListed ? [`… and ${topics.length - maxListed} more`] : []
  const list = [...topics.slice(0, maxListed), ...more].map((topic) => `  ${printable(topic)}\n`).join('')
  process.stderr.write(`${list}${place}: clear ${countMessages(topics)} and end its session? [y/N] `)
  try {
    // Without its own handling of keys, Ctrl-C is a signal and Ctrl-D the end.
    for await (const line of createInterface({ input: process.stdin, terminal: false, signal }))
      return /^y(es)?$/i.test(line.trim())
  } finally {
    // Readline leaves it running, and with it the process.
    process.stdin.pause()
  }
  process.stderr.write('\n')
  return false
}

function tell(
  outcome: Outcome,
  { id, place, url, json }: { id: string; place: string; url: string; json: boolean },
): number {
  if (outcome.type === 'online')
    return complain(`${place} is online: stop sightd first (or clear it all the same: --force)`, exitCodes.failure)
  if (outcome.type === 'declined') return complain(`${place}: nothing was changed`, exitCodes.failure)
  const { cleared, left, unseen } = outcome.type === 'done' ? outcome : { cleared: [], left: [], unseen: [] }
  if (json) {
    process.stdout.write(`${printableJson(JSON.stringify({ device: id, broker: url, cleared, left }))}\n`)
  }
  if (outcome.type === 'unknown')
    return complain(`nothing is kept of ${place}; ${listDevices(outcome.others)}`, exitCodes.failure)
  if (!json) process.stdout.write(`${place}: cleared ${countMessages(cleared)}; its session has ended\n`)
  if (unseen.length > 0)
    complain(`${url} lets us not look at ${unseen.join(', ')}: only what is known was cleared`, exitCodes.ok)
  return left.length === 0
    ? exitCodes.ok
    : complain(`${place}: still there: ${left.map(printable).join(', ')}`, exitCodes.failure)
}

function listDevices(ids: readonly string[]): string {
  const more = ids.length > maxListed ? [`and ${ids.length - maxListed} more`] : []
  return ids.length === 0 ? 'no device is there' : `devices there: ${[...ids.slice(0, maxListed), ...more].join(', ')}`
}

function countMessages({ length }: readonly string[]): string {
  return `${length} retained ${length === 1 ? 'message' : 'messages'}`
}

function complain(text: string, exitCode: number): number {
  process.stderr.write(`sightd: ${text}\n`)
  return exitCode
}
