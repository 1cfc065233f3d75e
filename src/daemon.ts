import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { extname, join } from 'node:path'
import type { Config } from './config/schema.ts'
import type { VisionReport, VisionResult } from './core/vision-protocol.ts'
import { packageRoot, packageVersions } from './lib/package.ts'
import { readSecretFile } from './lib/secret-file.ts'
import { startEmbeddedBroker } from './mqtt/embedded-broker.ts'
import { MqttLink } from './mqtt/link.ts'
import { encodeMessage, infoSchema, resultSchema, stateSchema } from './mqtt/messages.ts'
import { resultMessage } from './mqtt/result-message.ts'
import { deviceTopics } from './mqtt/topics.ts'
import { DeviceState } from './pipeline/device-state.ts'
import { RunStats, type RunSummary } from './pipeline/run-stats.ts'
import { describeSightings, Scene } from './pipeline/scene.ts'
import { VisionSupervisor } from './pipeline/supervisor.ts'
import { defaultDeviceId, readBoard, residentBytes } from './system/board.ts'
import type { Log } from './system/log.ts'
import { openWorkFolder } from './system/work-folder.ts'

export type DaemonOptions = {
  readonly config: Config
  /** Start an MQTT broker of our own and use it. */
  readonly isBrokerEmbedded: boolean
  /** End after this many results. */
  readonly maxResults: number | undefined
  readonly log: Log
  /** Called every second with one line on how it goes. */
  readonly onStatus: (line: string) => void
  readonly signal: AbortSignal
}

export type DaemonSummary = RunSummary & {
  readonly memoryMb: { readonly control: number; readonly vision: number | null }
}

export const bundledModel = join(packageRoot, 'models/ssdlite-mobilenet-v2-coco/1')

const firstBrokerPort = 1883
const stateHeartbeatMs = 60_000

/** The control process: builds every part, wires them, and takes them down in reverse when `signal` aborts. */
export async function runDaemon({
  config,
  isBrokerEmbedded,
  maxResults,
  log,
  onStatus,
  signal,
}: DaemonOptions): Promise<DaemonSummary> {
  await using cleanup = new AsyncDisposableStack()
  const board = await readBoard()
  const id = config.id ?? (await defaultDeviceId(board))
  const topics = deviceTopics(config.mqtt.base_topic, id)
  const boot = randomBytes(4).toString('hex')
  const versions = packageVersions()
  const workFolder = cleanup.use(await openWorkFolder())
  const broker = isBrokerEmbedded ? cleanup.use(await startEmbeddedBroker(firstBrokerPort)) : undefined
  const brokerUrl = broker?.url ?? config.mqtt.url
  if (broker !== undefined)
    log.info(
      { try: `mosquitto_sub -h 127.0.0.1 -p ${broker.port} -v -t '${config.mqtt.base_topic}/#'` },
      'MQTT broker of the demo is up; to watch, type',
    )

  const stats = new RunStats()
  const scene = new Scene()
  const device = new DeviceState()
  const link = cleanup.use(
    new MqttLink({
      url: brokerUrl,
      clientId: `sightd-${id}`,
      username: config.mqtt.username,
      password: config.mqtt.password_file === undefined ? undefined : await readSecretFile(config.mqtt.password_file),
      statusTopic: topics.status,
      log,
    }),
  )
  link.setState(
    topics.info,
    encodeMessage(infoSchema, {
      v: 1,
      id,
      name: config.name ?? id,
      sw: versions.own,
      node: process.versions.node,
      ort: versions.ort,
      os: board.os,
      arch: process.arch,
      board: board.model,
      serial: board.serial,
      boot,
      started: new Date().toISOString(),
      capabilities: ['classification', 'detection'],
    }),
  )

  const done = new AbortController()
  const running = AbortSignal.any([signal, done.signal])
  const supervisor = new VisionSupervisor({
    entry: new URL(`./vision/main${extname(import.meta.url)}`, import.meta.url),
    workDir: workFolder.path,
    maxMemoryMb: config.inference.max_memory_mb,
    start: {
      type: 'start',
      modelDir: config.model.path ?? bundledModel,
      threads: config.inference.threads ?? Math.max(1, availableParallelism() - 1),
      threshold: config.inference.threshold ?? null,
      maxFps: config.inference.max_fps ?? null,
      source: config.camera,
    },
    onReport: (report) => {
      if (report.type === 'result') return onResult(report)
      if (!device.noteReport(report)) return
      logReport(report, log)
      publishState()
    },
    onDown: (down) => {
      log.warn(down, 'vision process is down and will be started again')
      device.noteDown(down)
      publishState()
    },
  })

  let publishedState = ''
  const publishState = () => {
    const { camera, model, condition } = device
    const lasting = {
      ...condition,
      camera: { ...camera, source: config.camera.source },
      model: model === undefined ? null : { name: model.name, version: model.version },
      threshold: config.inference.threshold ?? null,
      vision: { restarts: supervisor.restarts },
      results_dropped: link.droppedResults,
    }
    const key = JSON.stringify(lasting)
    if (key === publishedState) return
    publishedState = key
    link.setState(
      topics.state,
      encodeMessage(stateSchema, {
        v: 1,
        ts: new Date().toISOString(),
        ...lasting,
        fps: Math.round(stats.fps * 10) / 10,
      }),
    )
  }

  let seq = 0
  let nextResultMs = 0
  const onResult = (result: VisionResult) => {
    // Those that land while the vision process stops are beyond what was asked for.
    if (done.signal.aborted) return
    stats.note(result)
    const { model } = device
    const now = performance.now()
    if (model !== undefined && config.mqtt.result_rate > 0 && now >= nextResultMs) {
      nextResultMs = now + 1000 / config.mqtt.result_rate
      link.sendResult(topics.result, encodeMessage(resultSchema, resultMessage(result, model, boot, seq++)))
    }
    const sightings = scene.note(result.finding)
    if (sightings !== undefined) log.info({ what: describeSightings(sightings) }, 'sees')
    if (stats.results === maxResults) done.abort()
  }

  const statusTimer = setInterval(async () => {
    const { captured, dropped } = supervisor.counters
    const megabytes = toMegabytes(process.memoryUsage.rss() + ((await residentBytes(supervisor.pid)) ?? 0))
    const inference = stats.inferenceMs()?.toFixed(1) ?? '–'
    onStatus(
      `${device.condition.status} · ${stats.fps.toFixed(1)} fps · inference ${inference} ms · frames ${captured}, dropped ${dropped} · ${brokerUrl} ${link.isConnected ? 'connected' : 'away'} · ${megabytes} MB`,
    )
  }, 1000)
  cleanup.defer(() => clearInterval(statusTimer))
  const heartbeat = setInterval(() => {
    publishedState = ''
    publishState()
  }, stateHeartbeatMs)
  cleanup.defer(() => clearInterval(heartbeat))

  publishState()
  let visionBytes: number | undefined
  running.addEventListener('abort', async () => {
    visionBytes = await residentBytes(supervisor.pid)
  })
  await supervisor.run(running)
  const control = toMegabytes(process.memoryUsage.rss())
  return {
    ...stats.summary(supervisor.counters),
    memoryMb: { control, vision: visionBytes === undefined ? null : toMegabytes(visionBytes) },
  }
}

function logReport(report: Exclude<VisionReport, VisionResult>, log: Log): void {
  if (report.type === 'ready')
    log.info(
      { name: report.model.name, version: report.model.version, loadMs: Math.round(report.loadMs) },
      'model loaded',
    )
  else if (report.type === 'camera' && report.reason !== null)
    log.warn({ state: report.state, reason: report.reason, advice: report.advice }, 'camera trouble, trying again')
  else if (report.type === 'camera') log.info({ state: report.state }, 'camera')
}

function toMegabytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024)
}
