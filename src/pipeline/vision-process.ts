import * as v from 'valibot'
import { describeError } from '../core/errors.ts'
import { type VisionCommand, type VisionReport, visionReportSchema } from '../core/vision-protocol.ts'
import { type ConfinedOptions, ConfinedProcess, type ProcessExit } from './confined-process.ts'

export type VisionProcessOptions = Pick<ConfinedOptions, 'entry' | 'workDir' | 'maxMemoryMb'> & {
  readonly onReport: (report: VisionReport) => void
}

/** The model in charge, a second one, and one that is told to go and has not yet. */
const inferenceThreads = 3

/** One vision process. Killing it kills its group, a camera child included. */
export class VisionProcess {
  readonly #process: ConfinedProcess
  /** Rejects when it can't be started. */
  readonly exited: Promise<ProcessExit>

  constructor({ onReport, ...options }: VisionProcessOptions) {
    this.#process = new ConfinedProcess({ ...options, inferenceThreads, channel: 'ipc' })
    this.exited = this.#process.exited
    this.#process.child.on('message', (message) => {
      try {
        onReport(v.parse(visionReportSchema, message))
      } catch (error) {
        // Memory gone bad, or something else that speaks for it: nothing it says can be trusted any more.
        this.#process.note(`not a usable report, so it was killed: ${describeError(error)}`)
        this.kill()
      }
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** A command to a process that has just gone is no error: its exit is what matters. */
  send(command: VisionCommand): void {
    const { child } = this.#process
    if (child.connected) child.send(command, () => {})
  }

  kill(): void {
    this.#process.kill()
  }
}
