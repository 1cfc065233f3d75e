import { join } from 'node:path'
import * as v from 'valibot'
import { type ConfigBuilder, defaultConfigPath, parseConfig, readConfig } from '../config/load.ts'
import { configSchema } from '../config/schema.ts'
import { exitCodes } from '../core/errors.ts'
import { type DaemonHooks, type DaemonSummary, runDaemon } from '../daemon.ts'
import { mergePatch } from '../lib/json.ts'
import { packageRoot } from '../lib/package.ts'
import { createLog, createTerminalLog } from '../system/log.ts'
import { ServiceManager } from '../system/service-manager.ts'
import { Terminal } from '../system/terminal.ts'

export type RunOptions = { readonly config?: string; readonly demo?: boolean; readonly maxFrames?: number }

/** `sightd run`: the daemon in the foreground, for systemd and for a person at a terminal alike. */
export async function run({ config: path, demo = false, maxFrames }: RunOptions, signal: AbortSignal): Promise<number> {
  const service = new ServiceManager()
  let hooks: DaemonHooks | undefined
  using _signals = listen({
    // Between two runs there is nothing to read anew: the next one does.
    SIGHUP: () => void hooks?.reload(),
    uncaughtExceptionMonitor: (error) => hooks?.write(error),
  })
  signal.addEventListener('abort', () => void service.stopping(), { once: true })
  for (;;) {
    const reread = () => (demo ? demoConfig(path) : readConfig(path ?? defaultConfigPath))
    const configure = await reread()
    const { level } = configure({}).log
    using terminal = process.stdout.isTTY ? new Terminal(process.stdout) : undefined
    const log =
      terminal === undefined ? createLog(level, (line) => hooks?.note(line)) : createTerminalLog(level, terminal)
    const summary = await runDaemon({
      configure,
      reread,
      isDemo: demo,
      maxResults: maxFrames,
      log,
      service,
      onOpen: (opened) => {
        hooks = opened
      },
      onStatus: (line) => terminal?.status(line),
      signal,
    }).catch((error: unknown) => {
      hooks?.write(error)
      throw error
    })
    if (terminal === undefined) log.info(summary, 'stopped')
    else terminal.line(describeSummary(summary))
    hooks = undefined
    if (!summary.isRestart) return exitCodes.ok
  }
}

/** Until it is disposed. A hang-up at a terminal ends us, as everywhere. */
function listen(handlers: { SIGHUP: () => void; uncaughtExceptionMonitor: (error: Error) => void }): Disposable {
  const { SIGHUP, uncaughtExceptionMonitor } = handlers
  if (!process.stdin.isTTY) process.on('SIGHUP', SIGHUP)
  process.on('uncaughtExceptionMonitor', uncaughtExceptionMonitor)
  return {
    [Symbol.dispose]() {
      process.off('SIGHUP', SIGHUP)
      process.off('uncaughtExceptionMonitor', uncaughtExceptionMonitor)
    },
  }
}

/** The demo watches the bundled photos, whatever a configuration says of cameras. */
async function demoConfig(path: string | undefined): Promise<ConfigBuilder> {
  const camera = { source: 'replay', path: join(packageRoot, 'deploy/demo') } as const
  if (path === undefined) return (overlay) => parseConfig('', 'demo', mergePatch({ camera }, overlay))
  const configure = await readConfig(path)
  return (overlay) => ({ ...configure(overlay), camera: v.parse(configSchema.entries.camera, camera) })
}

function describeSummary({ results, seconds, fps, frames, ms, firstResultMs, memoryMb }: DaemonSummary): string {
  const stages = Object.entries(ms).map(
    ([stage, { p50, p95 }]) => `  ${stage.padEnd(11)} ${p50.toFixed(1).padStart(7)} ${p95.toFixed(1).padStart(7)}`,
  )
  return [
    `${results} results in ${seconds} s, ${fps} fps; first result after ${firstResultMs ?? '–'} ms`,
    `frames: captured ${frames.captured} = inferred ${frames.inferred} + dropped ${frames.dropped} + skipped ${frames.skipped}`,
    `memory: control ${memoryMb.control} MB, vision ${memoryMb.vision ?? '–'} MB`,
    `  ms              p50     p95`,
    ...stages,
  ].join('\n')
}
