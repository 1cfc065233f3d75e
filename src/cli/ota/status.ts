import { exitCodes, SightdError } from '../../core/errors.ts'
import { BrokerError } from '../../mqtt/broker-error.ts'
import { openConnection } from '../../mqtt/client.ts'
import { RetainedTopics } from '../../mqtt/retained.ts'
import { requireGroupName } from '../../ota/groups.ts'
import { type BrokerOptions, type ChosenBroker, chooseBroker, describeTrouble, passingSession } from '../broker.ts'
import { printJson, printLines } from './bench.ts'
import { Fleet, fleetFilters, observerId } from './fleet.ts'
import { complaintsOf, describeFleet, deviceJson, troublesOf } from './fleet-table.ts'
import { followFleet } from './status-follow.ts'

export type StatusOptions = BrokerOptions & {
  readonly group?: string
  readonly follow?: boolean
  readonly json?: boolean
}

/** What a broker keeps of a large fleet takes its time on a slow network. */
const patience = { limitMs: 20_000, maxTopics: 100_000 }

/**
 * `sightd ota status`: which device runs which model, and how its updates go, by what the broker keeps. Exit code 1 when a
 * device is in trouble, or none is there.
 */
export async function status(options: StatusOptions, signal: AbortSignal): Promise<number> {
  const { group, json = false, follow = false } = options
  if (group !== undefined) requireGroupName(group)
  const broker = await chooseBroker(options)
  if (follow) return followFleet(broker, { group, json }, signal)
  const { fleet, unseen } = await lookAround(broker, signal)
  const devices = fleet.devices(group)
  if (json) printJson({ broker: broker.url, base: broker.baseTopic, devices: devices.map(deviceJson) })
  else if (devices.length > 0) printLines(describeFleet(devices).map(({ text }) => text))
  const complaints = complaintsOf(fleet, unseen)
  if (devices.length === 0) complaints.push(`no device${group === undefined ? '' : ` of group ${group}`} is there`)
  for (const complaint of complaints) process.stderr.write(`sightd: ${broker.url}: ${complaint}\n`)
  const isFine = devices.length > 0 && unseen.length === 0 && devices.every((device) => troublesOf(device).length === 0)
  return isFine ? exitCodes.ok : exitCodes.failure
}

async function lookAround(broker: ChosenBroker, signal: AbortSignal) {
  const fleet = new Fleet(broker.baseTopic)
  const kept = new RetainedTopics(patience)
  try {
    const connection = await openConnection(passingSession(broker, observerId()), {
      onMessage: (message) => {
        kept.take(message)
        fleet.take(message)
      },
      signal,
    })
    const filters = fleetFilters(broker.baseTopic)
    const unseen = await connection.subscribe(filters.map((filter) => ({ filter, wantsRetained: true })))
    const trouble = await Promise.race([kept.complete(signal), connection.closed])
    if (trouble !== undefined) throw trouble
    await connection.leave()
    if (signal.aborted) throw new BrokerError('silent', 'told to stop')
    return { fleet, unseen }
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    throw new SightdError(
      'ota_failed',
      signal.aborted ? 'stopped before all was seen' : describeTrouble(error, broker.url),
    )
  }
}
