import { randomBytes } from 'node:crypto'
import * as v from 'valibot'
import { deviceIdSchema } from '../config/schema.ts'
import { BrokerError } from '../mqtt/broker-error.ts'
import { openConnection } from '../mqtt/client.ts'
import { discoveryTopic } from '../mqtt/home-assistant.ts'
import { RetainedTopics } from '../mqtt/retained.ts'
import { clientIdOf, deviceTopics } from '../mqtt/topics.ts'
import { type ChosenBroker, passingSession } from './broker.ts'

export type Decommissioning = {
  readonly broker: ChosenBroker
  readonly id: string
  /** Home Assistant's prefix. */
  readonly prefix: string
  /** Even a device that is online, or of which nothing is kept. */
  readonly isForced: boolean
  /** Asked with what is kept of the device, before anything is changed. */
  readonly mayBegin: (topics: readonly string[]) => Promise<boolean>
}

export type Outcome =
  | { readonly type: 'online' }
  /** Nothing is kept of it; those of which something is. */
  | { readonly type: 'unknown'; readonly others: readonly string[] }
  | { readonly type: 'declined' }
  | {
      readonly type: 'done'
      /** Topics on which something was kept. */
      readonly cleared: readonly string[]
      /** Topics on which something is still kept, or which the broker would not let us clear. */
      readonly left: readonly string[]
      /** What could not be looked at; its known topics count as cleared all the same. */
      readonly unseen: readonly string[]
    }

/** Takes all that a broker keeps of a device away, and its session. Throws a BrokerError. */
export async function takeAway(
  { broker, id, prefix, isForced, mayBegin }: Decommissioning,
  signal: AbortSignal,
): Promise<Outcome> {
  const topics = deviceTopics(broker.baseTopic, id)
  const discovery = discoveryTopic(prefix, id)
  const kept = new RetainedTopics()
  // Not the device's own id yet: that would end its connection, if it has one.
  const observer = await openConnection(
    passingSession(broker, `sightd-decommission-${randomBytes(4).toString('hex')}`),
    { onMessage: (message) => kept.take(message), signal },
  )
  try {
    const look = async (filters = [`${broker.baseTopic}/${id}/#`, discovery]) => {
      kept.topics.clear()
      const unseen = await observer.subscribe(filters.map((filter) => ({ filter, wantsRetained: true })))
      await kept.complete(signal)
      return { found: new Map(kept.topics), unseen }
    }
    const { found, unseen } = await look()
    if (found.get(topics.status) === 'online' && !isForced) return { type: 'online' }
    if (found.size === 0 && unseen.length === 0 && !isForced) {
      const statuses = await look([deviceTopics(broker.baseTopic, '+').status])
      return { type: 'unknown', others: devicesOf([...statuses.found.keys()], broker.baseTopic) }
    }
    if (!(await mayBegin([...found.keys()]))) return { type: 'declined' }

    // First the session: a last will that still waits in it is published now, and goes with the rest.
    const device = await openConnection(passingSession(broker, clientIdOf(id)), { signal })
    await device.leave()

    // `status` goes last: until then whoever looks is told that the device is offline.
    const { status, info, state, current, update, crash, snapshot, eventSnapshot } = topics
    const all = new Set([discovery, info, state, current, update, crash, snapshot, eventSnapshot, ...found.keys()])
    all.delete(status)
    const cleared: string[] = []
    const left: string[] = []
    for (const topic of [...all, status]) {
      if (signal.aborted) throw new BrokerError('silent', 'told to stop')
      const { delivery } = await observer.publish({ topic, payload: '', isRetained: true })
      if (delivery === 'lost') throw await observer.closed
      // Where we may not look, all that is known may have been there.
      if (found.has(topic) || unseen.length > 0) (delivery === 'done' ? cleared : left).push(topic)
    }
    const still = [...(await look()).found.keys()]
    return {
      type: 'done',
      cleared: cleared.filter((topic) => !still.includes(topic)),
      left: [...new Set([...left, ...still])],
      unseen,
    }
  } finally {
    await observer.leave()
  }
}

function devicesOf(statusTopics: readonly string[], baseTopic: string): string[] {
  return statusTopics
    .map((topic) => topic.slice(baseTopic.length + 1).replace(/\/status$/, ''))
    .filter((id) => v.is(deviceIdSchema, id))
    .sort()
}
