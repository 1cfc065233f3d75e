import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable } from 'node:stream'
import { onTestFinished } from 'vitest'
import { launchMosquitto } from '../../bench/support/mosquitto.ts'

export { findProgram, freePort } from '../../bench/support/mosquitto.ts'

/** A real Mosquitto on a loopback port, ended with the test; resolves when it listens. */
export async function startMosquitto(
  port: number,
  settings?: string,
): Promise<ChildProcessByStdio<null, null, Readable>> {
  const broker = await launchMosquitto(port, settings)
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return broker.child
}
