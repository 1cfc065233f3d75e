import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { describeError, SightdError } from '../core/errors.ts'
import { isJsonObject, type JsonObject } from '../lib/json.ts'
import { formatSchemaIssue, nearestName, schemaIssues } from '../lib/schema-issues.ts'
import { encodeMessage, requestSchema, responseSchema } from './messages.ts'
import type { Topics } from './topics.ts'
import type { IncomingMessage, OutgoingMessage } from './wire.ts'

/** A command: what else its request holds, and what it does with it; its answer's `data`, or a SightdError. */
export type Command = (input: JsonObject) => Promise<JsonObject>

/** Makes a command of the schema of its request and what it does. */
export function command<E extends v.ObjectEntries>(
  entries: E,
  run: (input: v.InferOutput<v.StrictObjectSchema<E, undefined>>) => JsonObject | Promise<JsonObject>,
): Command {
  const schema = v.strictObject(entries)
  return async (input) => {
    const parsed = v.safeParse(schema, input)
    if (!parsed.success) throw invalid(parsed.issues)
    return await run(parsed.output)
  }
}

/** A property: `<name>/set` takes a bare value. */
export type Property = (value: string) => Promise<JsonObject>

export type CommandDeskOptions = {
  readonly topics: Topics
  readonly commands: Readonly<Record<string, Command>>
  readonly properties: Readonly<Record<string, Property>>
  /** Commands that may be asked of every device at once; each waits a random while before it answers. */
  readonly broadcast: readonly string[]
  readonly maxBroadcastDelayMs?: number
  readonly reply: (message: OutgoingMessage) => void
  readonly log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
  readonly signal: AbortSignal
}

const maxPayloadBytes = 16 * 1024

/** Answers that are kept for requests that come twice: MQTT delivers at least once. */
const maxRemembered = 64

/** Commands under way; more are refused. */
const maxRunning = 16

const commandName = /^[a-z][a-z_]{0,31}$/
const maxResponseTopicBytes = 200

type Outcome = {
  readonly data: JsonObject | null
  readonly error?: { readonly code: string; readonly message: string }
}

/** Takes requests from the broker, has each carried out once, and answers each; what can't be answered is counted. */
export class CommandDesk {
  readonly #options: CommandDeskOptions
  readonly #remembered = new Map<string, Promise<Outcome>>()
  #running = 0
  #waiting = 0
  readonly counts = { answered: 0, refused: 0 }

  constructor(options: CommandDeskOptions) {
    this.#options = options
  }

  /** Returns at once; resolves when the message has been answered or refused. Never throws. */
  async take(message: IncomingMessage): Promise<void> {
    const { topics, signal } = this.#options
    const { topic } = message
    const receivedMs = Date.now()
    if (signal.aborted) return this.#refuse(topic, 'stopping')
    // What is retained was meant for another time: it would come again at every start.
    if (message.isRetained) return this.#refuse(topic, 'it is retained')
    if (topic.startsWith(topics.allRequest)) {
      if (!this.#options.broadcast.includes(topic.slice(topics.allRequest.length)))
        return this.#refuse(topic, 'not for all')
      // Whoever speaks to all must not fill the memory of all.
      if (message.payload.length > maxPayloadBytes || this.#waiting >= maxRunning)
        return this.#refuse(topic, 'too much at once')
      this.#waiting++
      const { maxBroadcastDelayMs = 30_000 } = this.#options
      await delay(Math.random() * maxBroadcastDelayMs, undefined, { signal }).catch(() => {})
      this.#waiting--
      if (signal.aborted) return this.#refuse(topic, 'stopping')
    }
    if (message.expiryS !== undefined && Date.now() > receivedMs + message.expiryS * 1000)
      return this.#refuse(topic, 'it has expired')
    const property = topic.startsWith(topics.own) && topic.endsWith('/set')
    if (property) await this.#takeProperty(topic.slice(topics.own.length, -'/set'.length), message)
    else await this.#takeRequest(topic.slice(topic.lastIndexOf('/') + 1), message)
  }

  async #takeRequest(name: string, message: IncomingMessage): Promise<void> {
    if (!commandName.test(name)) return this.#refuse(message.topic, 'no command has such a name')
    const request = parseRequest(message.payload)
    if ('error' in request) return this.#answer(name, message, { data: null, error: request.error })
    const { transaction, expires, input } = request
    if (expires !== undefined && Date.parse(expires) < Date.now()) return this.#refuse(message.topic, 'it has expired')
    const run = this.#options.commands[name]
    const known = Object.keys(this.#options.commands)
    const outcome =
      run === undefined || !Object.hasOwn(this.#options.commands, name)
        ? Promise.resolve(unknownName('command', name, known))
        : this.#once(transaction === undefined ? undefined : `${name} ${message.payload.toString('base64')}`, () =>
            run(input),
          )
    this.#answer(name, message, await outcome, transaction)
  }

  async #takeProperty(name: string, message: IncomingMessage): Promise<void> {
    const { properties, log } = this.#options
    const run = properties[name]
    const text = message.payload.subarray(0, 101).toString('utf8').trim()
    const outcome =
      run === undefined || !Object.hasOwn(properties, name)
        ? unknownName('property', name.slice(0, 100), Object.keys(properties))
        : message.payload.length > 100
          ? { data: null, error: { code: 'invalid', message: `${name}: longer than 100 bytes` } }
          : await this.#once(undefined, () => run(text))
    if (outcome.error !== undefined)
      log.warn({ property: name.slice(0, 100), problem: outcome.error.message }, 'a property was not set')
    this.#answer('set', message, { ...outcome, data: { property: name.slice(0, 100), ...outcome.data } })
  }

  /** Runs it, unless one with the same key has been or is being run: then that one's outcome counts. */
  #once(key: string | undefined, run: () => Promise<JsonObject>): Promise<Outcome> {
    const before = key === undefined ? undefined : this.#remembered.get(key)
    if (before !== undefined) return before
    if (this.#running >= maxRunning)
      return Promise.resolve({
        data: null,
        error: { code: 'busy', message: `${maxRunning} commands are under way; try again` },
      })
    this.#running++
    const outcome = run()
      .then((data): Outcome => ({ data }), describeFailure)
      .finally(() => this.#running--)
    if (key !== undefined) {
      this.#remembered.set(key, outcome)
      const [oldest] = this.#remembered.keys()
      if (this.#remembered.size > maxRemembered && oldest !== undefined) this.#remembered.delete(oldest)
    }
    return outcome
  }

  #answer(name: string, message: IncomingMessage, { data, error }: Outcome, transaction?: string | number): void {
    const { topics, reply, log } = this.#options
    const payload = encodeMessage(responseSchema, {
      status: error === undefined ? 'ok' : 'error',
      data,
      ...(error === undefined ? {} : { error }),
      ...(transaction === undefined ? {} : { transaction }),
    })
    this.counts.answered++
    const asked = printable(message.payload)
    log.info({ command: name, ...(asked === '' ? {} : { asked }), status: error?.code ?? 'ok' }, 'answered a command')
    reply({ topic: `${topics.response}${name}`, payload, contentType: 'application/json' })
    const { responseTopic, correlationData } = message
    if (responseTopic === undefined) return
    // Whoever asks must not make us speak where others trust us to: not on our own topics, not to the broker itself.
    const isFair =
      Buffer.byteLength(responseTopic) <= maxResponseTopicBytes &&
      !/[+#\0]|^\$|^$/.test(responseTopic) &&
      !responseTopic.startsWith(topics.own)
    if (isFair) reply({ topic: responseTopic, payload, contentType: 'application/json', correlationData })
    else log.warn({ topic: responseTopic.slice(0, 200) }, 'not a topic to answer on; answered on our own only')
  }

  #refuse(topic: string, why: string): void {
    this.counts.refused++
    this.#options.log.warn({ topic: topic.slice(0, 200), why }, 'a request was refused')
  }
}

/** What was asked, for the log: what someone has set should be found there. */
function printable(payload: Buffer): string {
  return payload.toString('utf8', 0, 200).replaceAll(/\p{C}/gu, '?')
}

type Request =
  | {
      readonly transaction: string | number | undefined
      readonly expires: string | undefined
      readonly input: JsonObject
    }
  | { readonly error: { readonly code: string; readonly message: string } }

/** Empty payloads are empty requests. */
function parseRequest(payload: Buffer): Request {
  const refuse = (message: string): Request => ({ error: { code: 'invalid', message } })
  if (payload.length > maxPayloadBytes) return refuse(`${payload.length} bytes, at most ${maxPayloadBytes} are read`)
  let json: unknown
  try {
    json = payload.length === 0 ? {} : JSON.parse(payload.toString('utf8'))
  } catch (error) {
    return refuse(`not JSON: ${describeError(error)}`)
  }
  if (!isJsonObject(json)) return refuse('has to be a JSON object')
  const { transaction, expires, ...input } = json
  const common = v.safeParse(requestSchema, {
    ...(transaction === undefined ? {} : { transaction }),
    ...(expires === undefined ? {} : { expires }),
  })
  if (!common.success) return refuse(describeError(invalid(common.issues)))
  // Some of what has the shape of a time is none.
  if (expires !== undefined && Number.isNaN(Date.parse(`${expires}`))) return refuse('expires: no such time')
  return { transaction: common.output.transaction, expires: common.output.expires, input }
}

function invalid(issues: readonly v.BaseIssue<unknown>[]): SightdError {
  return new SightdError('config_invalid', schemaIssues(issues).map(formatSchemaIssue).join('; '))
}

function unknownName(kind: 'command' | 'property', name: string, known: readonly string[]): Outcome {
  const nearest = nearestName(name, known)
  const hint = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
  return {
    data: null,
    error: { code: `unknown_${kind}`, message: `no ${kind} is called ${name}${hint}; there are ${known.join(', ')}` },
  }
}

function describeFailure(error: unknown): Outcome {
  const code = error instanceof SightdError ? (error.code === 'config_invalid' ? 'invalid' : error.code) : 'failed'
  return { data: null, error: { code, message: describeError(error) } }
}
