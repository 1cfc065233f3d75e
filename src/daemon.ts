import { existsSync } from 'node:fs'
import { extname, join } from 'node:path'
import { readBrokerLogin } from './config/broker-login.ts'
import { LiveConfig } from './config/live-config.ts'
import type { ConfigBuilder } from './config/load.ts'
import { describeError } from './core/errors.ts'
import type { Metrics } from './core/metrics.ts'
import { foundObjects } from './core/prediction.ts'
import { describeView, emptyView } from './core/scene.ts'
import { updatesOff } from './core/update-status.ts'
import { packageRoot } from './lib/package.ts'
import { MqttDevice } from './mqtt/device.ts'
import { EventPictures } from './pipeline/event-pictures.ts'
import { Pipeline } from './pipeline/pipeline.ts'
import type { RunSummary } from './pipeline/run-stats.ts'
import { readBootId } from './system/board.ts'
import { CrashRecord } from './system/crash-record.ts'
import { identify } from './system/identity.ts'
import type { Log } from './system/log.ts'
import type { ServiceManager } from './system/service-manager.ts'
import { ServiceReport } from './system/service-report.ts'
import { openStateFolder, stateFolderPath } from './system/state-folder.ts'
import { statusLine } from './system/status-line.ts'
import { Vitals } from './system/vitals.ts'
import { openWorkFolder } from './system/work-folder.ts'

export type DaemonOptions = {
  readonly configure: ConfigBuilder
  /** The configuration as it is written down now. */
  readonly reread: () => Promise<ConfigBuilder>
  /** A demo starts an MQTT broker of its own and uses it, and keeps nothing. */
  readonly isDemo: boolean
  /** End after this many results. */
  readonly maxResults: number | undefined
  readonly log: Log
  readonly service: ServiceManager
  /** Is given what to do with each log line, with a failure that ends the process, and when the configuration is to be read anew. */
  readonly onOpen: (hooks: DaemonHooks) => void
  /** Called every second with one line on how it goes. */
  readonly onStatus: (line: string) => void
  readonly signal: AbortSignal
  /** Where the board's own files are, `/sys` among them. */
  readonly boardRoot?: string
}

export type DaemonHooks = Pick<CrashRecord, 'note' | 'write'> & { readonly reload: () => Promise<void> }

export type DaemonSummary = RunSummary & {
  readonly memoryMb: { readonly control: number; readonly vision: number | null }
  /** It was told to start anew, with its configuration read afresh. */
  readonly isRestart: boolean
}

export const bundledModel = join(packageRoot, 'models/ssdlite-mobilenet-v2-coco/1')

const firstBrokerPort = 1883
const heartbeatMs = 60_000
const boardPollMs = 10_000
const megabyte = 1024 * 1024
const dayMs = 24 * 3600 * 1000

/** The control process: builds every part, wires them, and takes them down in reverse when `signal` aborts. */
export async function runDaemon(options: DaemonOptions): Promise<DaemonSummary> {
  const { configure, reread, isDemo, maxResults, log, service, onOpen, onStatus, signal, boardRoot = '/' } = options
  await using cleanup = new AsyncDisposableStack()
  const every = (ms: number, act: () => unknown) => {
    const timer = setInterval(act, ms)
    cleanup.defer(() => clearInterval(timer))
  }
  const done = new AbortController()
  let isRestart = false
  let seen = describeView(emptyView)

  const workFolder = cleanup.use(await openWorkFolder())
  const statePath = isDemo ? join(workFolder.path, 'state') : stateFolderPath(configure({}).state_dir)
  const stateFolder = cleanup.use(await openStateFolder(statePath))
  const record = await CrashRecord.open(stateFolder.path, await readBootId())
  cleanup.defer(() => record.close())
  if (record.crash !== undefined) log.warn(record.crash, 'the run before ended without an end in good order')
  const config = await LiveConfig.open(configure, stateFolder.path)
  if (config.problem !== undefined)
    log.warn({ problem: config.problem }, 'settings made over MQTT are not all in force')
  const { mqtt, home_assistant: homeAssistant, web } = config.current
  // A secret that is missing or open to others is a mistake to be told at once, not an outage.
  await readBrokerLogin(mqtt)

  const identity = await identify(config.current.id)
  const { id, boot, started, sw } = identity
  const vitals = new Vitals(boardRoot)
  const report = new ServiceReport(service)
  // What nobody uses is not loaded: here, and wherever a part is imported below.
  const embedded = isDemo ? await import('./mqtt/embedded-broker.ts') : undefined
  const broker = cleanup.use(await embedded?.startEmbeddedBroker(firstBrokerPort))
  const url = broker?.url ?? mqtt.url
  log.info({ version: sw, id, boot, state: stateFolder.path, broker: url }, 'sightd starts')
  if (broker !== undefined)
    log.info(
      { try: `mosquitto_sub -h 127.0.0.1 -p ${broker.port} -v -t '${mqtt.base_topic}/#'` },
      'MQTT broker of the demo is up; to watch, type',
    )

  const device: MqttDevice = cleanup.use(
    await MqttDevice.open({
      id,
      boot,
      startedMs: Date.parse(started),
      baseTopic: mqtt.base_topic,
      settings: async () => ({
        url,
        ...(broker === undefined ? await readBrokerLogin(mqtt) : {}),
        keepaliveS: mqtt.keepalive_s,
        sessionExpiryS: mqtt.session_expiry_s,
      }),
      homeAssistant,
      folder: stateFolder.path,
      outbox: {
        maxBytes: mqtt.outbox_max_mb * megabyte,
        maxAgeMs: mqtt.outbox_max_days * dayMs,
        replayRate: mqtt.replay_rate,
      },
      commanded: {
        info: () => info(),
        takePicture: () => (config.current.pictures.on_request ? pipeline.takePicture() : undefined),
        restart: async () => {
          // A device that works must not be lost over a slip in a file that is read again.
          const next = (await reread())({})
          await readBrokerLogin(next.mqtt)
          if (next.ota.sources.length > 0) await (await import('./ota/update-settings.ts')).readUpdateSettings(next.ota)
          isRestart = true
          done.abort()
        },
        settings: () => ({ config: config.settable, overlay: config.overlay }),
        change: async (patch) => {
          const problem = await config.patch(patch)
          if (problem !== undefined) log.warn({ problem }, 'a setting is not kept')
          apply()
          return problem
        },
        get updates() {
          return updater
        },
        updateStatus: () => updater?.status ?? updatesOff,
      },
      takesHints: config.current.ota.sources.length > 0,
      onChange: () => publishState(),
      log,
    }),
  )

  const factoryDir = config.current.model.path ?? bundledModel
  const updater =
    config.current.ota.sources.length > 0 || existsSync(join(stateFolder.path, 'ota'))
      ? await (await import('./updates.ts')).openUpdater({
          config: config.current,
          stateFolder: stateFolder.path,
          factoryDir,
          deviceId: id,
          workDir: workFolder.path,
          pipeline: () => pipeline,
          isConnected: () => device.isConnected,
          onChange: () => publishUpdate(),
          onOutcome: (outcome) => device.publish.updateOutcome(outcome),
          log,
        })
      : undefined

  const pictures = new EventPictures({
    take: () => pipeline.takePicture(),
    publish: (event, jpeg) => device.publish.eventSnapshot(event, jpeg),
  })
  const pipeline: Pipeline = new Pipeline({
    config: config.current,
    model: () => updater?.nextModel() ?? Promise.resolve({ dir: factoryDir, manifestSha256: null }),
    entry: new URL(`./vision/main${extname(import.meta.url)}`, import.meta.url),
    workDir: workFolder.path,
    onResult: (result, model) => {
      // Those that land while the vision process stops are beyond what was asked for.
      if (done.signal.aborted) return
      const threshold = pipeline.threshold ?? 0
      device.publish.result(result, model, threshold, config.current.mqtt.result_rate)
      const best = foundObjects(result.finding)[0]
      const label = best !== undefined && best.score >= threshold ? best.label : ''
      updater?.noteResult({ inferenceMs: result.timingMs.inference, label })
      if (pipeline.stats.results === maxResults) done.abort()
    },
    onEvent: (event) => {
      device.publish.event(event, pipeline.model)
      if (config.current.pictures.of_events) void pictures.note(event)
    },
    onView: (view, atMs) => {
      device.publish.current(view, atMs)
      const what = describeView(view, { withScores: true })
      // That nothing is in view is no news before anything was.
      if (what !== seen) log.info({ what }, 'sees')
      seen = what
    },
    onModel: () => publishUpdate(),
    onDown: ({ reason, fault }) => updater?.noteDown(reason, fault === null ? null : { fault, message: reason }),
    onShadow: (sample) => updater?.noteShadow(sample),
    onCandidateDown: (failure) => updater?.noteCandidateDown(failure),
    onChange: () => publishState(),
    log,
  })

  const info = () => ({
    ...identity,
    name: config.current.name ?? id,
    capabilities: ['classification', 'detection', ...(config.current.pictures.on_request ? ['snapshot'] : [])],
  })
  const publishState = (isHeartbeat = false) =>
    device.publish.state(
      { ...pipeline.state, ...device.state, settings: { problem: config.problem ?? null } },
      isHeartbeat,
    )
  const publishUpdate = () => device.publish.update(updater?.status ?? updatesOff, pipeline.model)
  /** Brings everything in line with the configuration, at the start and when it has changed. */
  const apply = () => {
    const { log: logging, pictures: shown, home_assistant: wanted, events, camera } = config.current
    log.level = logging.level
    pipeline.configure(config.current)
    device.publish.info(info())
    device.publish.allowPictures({ snapshot: shown.on_request, eventSnapshot: shown.of_events })
    device.announce({
      ...info(),
      baseTopic: mqtt.base_topic,
      labels: wanted.labels,
      zones: Object.keys(events.zones),
      hasSnapshot: shown.on_request,
      hasEventSnapshot: shown.of_events,
      maxFpsOfCamera: camera.fps,
    })
    publishState()
  }
  apply()
  if (record.crash !== undefined) device.publish.crash(record.crash)
  device.start()
  onOpen({
    note: (line) => record.note(line),
    write: (error) => record.write(error),
    reload: async () => {
      try {
        const later = config.reload(await reread())
        apply()
        if (later.length > 0)
          log.warn({ keys: later }, 'configuration read anew; these keys hold from the next start on')
        else log.info({}, 'configuration read anew')
      } catch (error) {
        log.error({ problem: describeError(error) }, 'configuration not read anew: all stays as it is')
      }
    },
  })

  const metrics = (): Metrics => ({ ...vitals.metrics, ...pipeline.metrics, ...device.metrics })
  const readVitals = async () => {
    pipeline.noteBoard(await vitals.readBoard())
    updater?.noteThrottled(vitals.isSlowed)
  }
  await readVitals()
  every(boardPollMs, readVitals)
  every(heartbeatMs, () => {
    publishState(true)
    device.publish.metrics(metrics())
  })
  every(1000, async () => {
    await vitals.measure(pipeline.pid)
    publishState()
    publishUpdate()
    if (device.publish.isCrashTold) await record.told()
    const { condition, isProgressing } = pipeline
    const line = statusLine(condition, `${url} ${device.isConnected ? 'connected' : 'away'}`, metrics())
    report.note({ ...condition, isProgressing, line })
    onStatus(line)
  })
  if (web.port !== undefined) {
    const { startWeb } = await import('./system/web.ts')
    await startWeb({
      port: web.port,
      metrics,
      health: () => pipeline.health,
      labels: () => ({ id, version: sw, model: pipeline.model?.name ?? 'none' }),
    }).then(
      (page) => cleanup.use(page),
      // A device should not go blind because a port is taken.
      (error: unknown) => log.error({ problem: describeError(error) }, 'no metrics page'),
    )
  }

  const running = AbortSignal.any([signal, done.signal])
  await Promise.all([pipeline.run(running), updater?.run(running)])
  const { control_rss_mb: control, vision_rss_mb: vision } = metrics()
  return {
    ...pipeline.stats.summary(pipeline.counters),
    memoryMb: { control, vision },
    isRestart: isRestart && !signal.aborted,
  }
}
