import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { exitCodes, SightdError } from '../../core/errors.ts'
import { BrokerError } from '../../mqtt/broker-error.ts'
import { openConnection } from '../../mqtt/client.ts'
import { encodeMessage } from '../../mqtt/messages.ts'
import { updateHintTopic } from '../../mqtt/topics.ts'
import { updateHintSchema } from '../../mqtt/update-hints.ts'
import { readerOf, readRepository } from '../../ota/repository.ts'
import { type BrokerOptions, type ChosenBroker, chooseBroker, describeTrouble, passingSession } from '../broker.ts'
import { explained, printJson } from './bench.ts'

export type HintOptions = BrokerOptions & { readonly repo?: string; readonly clear?: boolean; readonly json?: boolean }

/** `sightd ota hint`: tells all devices at a broker that the repository has something newer, so that they look soon. */
export async function hint(options: HintOptions, signal: AbortSignal): Promise<number> {
  const { clear = false, json = false } = options
  return explained(async () => {
    const timestamp = clear ? undefined : await timestampIn(resolve(options.repo ?? 'repository'))
    const broker = await chooseBroker(options)
    const topic = updateHintTopic(broker.baseTopic)
    await publish(broker, topic, timestamp === undefined ? '' : encodeMessage(updateHintSchema, { timestamp }), signal)
    if (json) printJson({ broker: broker.url, topic, timestamp: timestamp ?? null })
    else
      process.stdout.write(
        timestamp === undefined
          ? `${topic} at ${broker.url}: no hint any more\n`
          : `${topic} at ${broker.url}: timestamp ${timestamp}; devices with an older one look within half a minute\n`,
      )
    return exitCodes.ok
  })
}

async function timestampIn(repo: string): Promise<number> {
  const state = await readRepository(readerOf(repo))
  if (state === undefined)
    throw new SightdError('ota_failed', `${repo}: no repository there; sightd ota init makes one`)
  return state.timestamp.version
}

async function publish(broker: ChosenBroker, topic: string, payload: string, signal: AbortSignal): Promise<void> {
  const fail = (what: string) => new SightdError('ota_failed', what)
  try {
    const id = `sightd-hint-${randomBytes(4).toString('hex')}`
    const connection = await openConnection(passingSession(broker, id), { signal })
    const { delivery, reason } = await connection.publish({ topic, payload, isRetained: true })
    if (delivery === 'lost') throw await connection.closed
    await connection.leave()
    if (delivery !== 'done') throw fail(`the broker at ${broker.url} refuses ${topic}: ${reason ?? delivery}`)
  } catch (error) {
    if (error instanceof BrokerError) throw fail(describeTrouble(error, broker.url))
    throw error
  }
}
