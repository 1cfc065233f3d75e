import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Credentials } from '../../config/credentials.ts'
import type { Config } from '../../config/schema.ts'
import { CameraError } from '../../core/camera-state.ts'
import { describeError, SightdError } from '../../core/errors.ts'
import type { SourceOptions } from '../../core/source-options.ts'
import { type Finding, ok, problem, warning } from '../../system/finding.ts'
import { tryBroker } from '../broker-trial.ts'
import { describeLight, measureCamera } from '../camera.ts'
import { Stopped } from './asker.ts'
import { serviceRuns } from './place.ts'

const trialSeconds = 2

/**
 * Reads the camera for a moment. `password`: one that is not written down yet. `isConfigured`: it is the one that the service,
 * should it run, has.
 */
export async function tryCamera(
  configured: SourceOptions,
  { password, isConfigured }: { readonly password: string | undefined; readonly isConfigured: boolean },
  signal: AbortSignal,
): Promise<Finding> {
  const check = 'camera'
  await using folder = password === undefined ? undefined : await mkdtempDisposable(join(tmpdir(), 'sightd-setup-'))
  const file = folder && join(folder.path, 'password')
  if (file !== undefined) await writeFile(file, `${password}\n`, { mode: 0o600 })
  const options = file !== undefined && 'url' in configured ? { ...configured, password_file: file } : configured
  try {
    const report = await measureCamera(options, trialSeconds, signal)
    const { width, height, fps, frames_missing: missing, brightness } = report
    const found = `${width}x${height}, ${fps} fps of the ${options.fps} asked for, ${missing} frames missing, brightness ${brightness} of 255`
    const light = describeLight(report)
    return light === ''
      ? ok(check, found)
      : warning(check, found + light, 'Look at it: sightd camera snapshot FILE.jpg')
  } catch (error) {
    if (signal.aborted) throw new Stopped()
    if (error instanceof CameraError) {
      if (error.state === 'busy' && isConfigured && (await serviceRuns()))
        return warning(
          check,
          'not tried: sightd.service runs and has it',
          'To try it here: systemctl stop sightd, then sightd setup again.',
        )
      return problem(check, describeError(error), error.advice ?? 'sightd camera list tells what is there.')
    }
    if (error instanceof SightdError)
      return problem(check, describeError(error), 'sightd camera list tells what is there.')
    throw error
  }
}

/** Logs in at the broker once, with what the service will have. */
export async function tryLogin(mqtt: Config['mqtt'], credentials: Credentials, signal: AbortSignal): Promise<Finding> {
  const stopped = Promise.withResolvers<never>()
  const stop = () => stopped.reject(new Stopped())
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  try {
    return await Promise.race([tryBroker(mqtt, credentials), stopped.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
