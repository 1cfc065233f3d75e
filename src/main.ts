import { createProgram } from './cli/program.ts'
import { describeError, exitCodes, SightdError } from './core/errors.ts'
import { mayPass } from './lib/disk-error.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Once: a second Ctrl-C ends a stop that takes too long the hard way.
  process.once(signal, () => stop.abort(signal))
}

/** Something may still be under way that can't be called off, such as a question to a name server that does not answer. */
const patienceMs = 1000

try {
  process.exitCode = await createProgram(stop.signal)(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof SightdError)) throw error
  process.stderr.write(`sightd: ${describeError(error)}\n`)
  const isFinal = error.code === 'config_invalid' && !mayPass(error.cause)
  process.exitCode = isFinal ? exitCodes.config : exitCodes.failure
}
// What was printed goes out first, however slowly it is read; a reader that has gone is no reason to wait.
await Promise.all(
  [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.once('error', () => resolve()).write('', () => resolve())),
  ),
)
setTimeout(() => process.exit(), patienceMs).unref()
