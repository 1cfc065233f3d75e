import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { resultSchema, updateSchema } from '../../src/mqtt/messages.ts'
import { RunningSightd } from './daemon.ts'
import { freePort, startMosquitto } from './mosquitto.ts'
import type { RepositoryServer } from './repository-server.ts'
import { type Received, subscribe } from './subscriber.ts'
import { tempFolder } from './temp-folder.ts'
import { type ModelKind, makeModel, versionOf } from './update-models.ts'
import { UpdateRepository } from './update-repository.ts'

type Update = v.InferOutput<typeof updateSchema>
type Result = v.InferOutput<typeof resultSchema>

const quick = {
  poll_h: 168,
  self_test_s: 20,
  shadow_s: 1,
  probation_min: 0.02,
  probation_results: 60,
  // Runs of less than a millisecond vary on a machine that does other things as well.
  max_slowdown: 3,
}

/** A real daemon with a real broker and a repository on a real web server, and someone who listens to everything. */
export class UpdatedDevice {
  readonly repository: UpdateRepository
  readonly server: RepositoryServer
  readonly subscriber: Awaited<ReturnType<typeof subscribe>>
  readonly sightd: RunningSightd
  readonly stateFolder: string
  readonly config: string
  /** Messages before it have been looked at. */
  #seen = 0

  private constructor(
    parts: Omit<UpdatedDevice, 'updates' | 'results' | 'resultsUntil' | 'ask' | 'until' | 'offer' | 'verdict'>,
  ) {
    this.repository = parts.repository
    this.server = parts.server
    this.subscriber = parts.subscriber
    this.sightd = parts.sightd
    this.stateFolder = parts.stateFolder
    this.config = parts.config
  }

  static async start(ota: object = {}, more = ''): Promise<UpdatedDevice> {
    const [repository, stateFolder, port, good] = await Promise.all([
      UpdateRepository.create(),
      tempFolder(),
      freePort(),
      makeModel('good'),
    ])
    const server = await repository.serve()
    await startMosquitto(port)
    const subscriber = await subscribe(port, { protocolVersion: 5, filter: '#' })
    const config = join(stateFolder, 'config.yaml')
    const section = { sources: [server.url], root_file: repository.rootPath, group: 'porch', ...quick, ...ota }
    await writeFile(
      config,
      `id: porch
camera: { source: synthetic, width: 320, height: 240, fps: 30 }
model: { path: ${good} }
inference: { threads: 1, max_memory_mb: 400 }
motion: { gate: 'off' }
mqtt: { url: 'mqtt://127.0.0.1:${port}', result_rate: 120 }
ota: ${JSON.stringify(section)}
${more}`,
    )
    const sightd = new RunningSightd(['run', '--config', config], { stateFolder })
    await subscriber.message(({ topic }) => topic === 'sightd/porch/result')
    return new UpdatedDevice({ repository, server, subscriber, sightd, stateFolder, config })
  }

  get updates(): Update[] {
    return this.#of('update').map(({ text }) => v.parse(updateSchema, JSON.parse(text)))
  }

  get results(): Result[] {
    return this.#of('result').map(({ text }) => v.parse(resultSchema, JSON.parse(text)))
  }

  /** Resolves when there have been so many results: before, there is nothing to hold a model against. */
  async resultsUntil(count: number): Promise<void> {
    await this.subscriber.message(({ topic }) => topic.endsWith('/result') && this.#of('result').length >= count)
  }

  /** Sends a request and gives its answer. */
  async ask(name: string): Promise<{ status: string; error?: { message: string } }> {
    const { client, received } = this.subscriber
    const from = received.length
    await client.publishAsync(`sightd/porch/request/${name}`, '', { qos: 1 })
    const answer = await this.subscriber.message(({ topic }) => topic === `sightd/porch/response/${name}`, from)
    return JSON.parse(answer.text)
  }

  /** The first `update` message, after those that were waited for before, that fits. */
  async until(fits: (update: Update) => boolean): Promise<Update> {
    const message = await this.subscriber.message(
      ({ topic, text }) => topic === 'sightd/porch/update' && fits(v.parse(updateSchema, JSON.parse(text))),
      this.#seen,
    )
    this.#seen = this.subscriber.received.indexOf(message) + 1
    return v.parse(updateSchema, JSON.parse(message.text))
  }

  /** Publishes a model for all devices of the group, and tells the device to look. */
  async offer(kind: ModelKind): Promise<void> {
    await this.repository.offer(await makeModel(kind))
    await this.ask('check_update')
  }

  /** Offers a model, and waits for what becomes of it. */
  async verdict(kind: ModelKind): Promise<NonNullable<Update['last']>> {
    this.#seen = this.subscriber.received.length
    await this.offer(kind)
    const { last } = await this.until(({ last, phase }) => last?.model.version === versionOf(kind) && phase === 'idle')
    if (last === null) throw new Error('no outcome')
    return last
  }

  #of(name: string): Received[] {
    return this.subscriber.received.filter(({ topic }) => topic === `sightd/porch/${name}`)
  }
}
