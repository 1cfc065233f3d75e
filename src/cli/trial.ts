import { fork } from 'node:child_process'
import { once } from 'node:events'
import { extname, resolve } from 'node:path'
import { describeError } from '../core/errors.ts'
import type { TrialReport } from '../vision/trial.ts'

/** How long loading a model and running its golden samples may take. */
const trialLimitMs = 120_000

/** Loads a model and runs its golden samples in a process of their own, so that a crash in native code becomes a sentence. */
export async function runTrial(dir: string, signal?: AbortSignal): Promise<TrialReport> {
  // A model that breaks out should find no secrets: an operator's passphrase may be in our environment.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SIGHTD_')))
  const child = fork(new URL(`../vision/trial${extname(import.meta.url)}`, import.meta.url), [resolve(dir)], { env })
  const kill = () => child.kill('SIGKILL')
  const timer = setTimeout(kill, trialLimitMs)
  signal?.addEventListener('abort', kill)
  if (signal?.aborted) kill()
  let report: TrialReport | undefined
  // Our own child, running our own code: the type is the contract.
  child.once('message', (message) => (report = message as TrialReport))
  try {
    // `exit` may come before the last message; `disconnect` comes after it.
    const [[code, ending]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
    return (
      report ?? { type: 'failed', message: `${dir}: the process that tried the model died: ${deathOf(code, ending)}` }
    )
  } catch (error) {
    return { type: 'failed', message: `${dir}: no process to try the model in: ${describeError(error)}` }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', kill)
  }
}

function deathOf(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === 'SIGILL') return 'illegal instruction: this build of ONNX Runtime does not run on this CPU'
  if (signal === 'SIGKILL') return `killed, it took more than ${trialLimitMs / 1000} s or too much memory`
  return `it ended with ${signal ?? `exit code ${code}`}`
}
