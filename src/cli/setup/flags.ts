import { resolve } from 'node:path'
import { readCertificates } from '../../config/broker-login.ts'
import { describeError, SightdError } from '../../core/errors.ts'
import { readSecretFile } from '../../lib/secret-file.ts'
import type { AccountFlags } from './account.ts'
import { type CameraAnswer, cameraForms, parseCamera } from './camera-answer.ts'
import type { Known } from './known.ts'
import { isSecure, parseBroker } from './login-answer.ts'
import { type CameraFlags, type LoginFlags, parseName } from './questions.ts'

export type SetupOptions = {
  readonly config?: string
  readonly name?: string
  readonly camera?: string
  readonly cameraUsername?: string
  readonly cameraPasswordFile?: string
  readonly broker?: string
  readonly username?: string
  readonly passwordFile?: string
  readonly caFile?: string
  readonly homeAssistant?: boolean
  readonly credentials?: string
  readonly yes?: boolean
  readonly test?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

/** The command line is wrong, or says too little. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What the command line says, checked. */
export type Flags = {
  readonly name: string | undefined
  readonly camera: CameraFlags
  readonly login: LoginFlags
}

/** Throws a UsageError that names each flag that is wrong; a SightdError `config_invalid` for a file that is. */
export async function readFlags(options: SetupOptions): Promise<Flags> {
  const wrong: string[] = []
  const take = <T>(flag: string, text: string | undefined, parse: (text: string) => T): T | undefined => {
    try {
      return text === undefined ? undefined : parse(text)
    } catch (error) {
      if (!(error instanceof SightdError)) throw error
      wrong.push(`--${flag}: ${describeError(error)}`)
      return undefined
    }
  }
  const name = take('name', options.name, parseName)
  const target = take('camera', options.camera, parseCamera)
  const url = take('broker', options.broker, parseBroker)
  if (options.caFile !== undefined && url !== undefined && !isSecure(url))
    wrong.push(`--ca-file: ${url} is without TLS; with it: mqtts:// or wss://`)
  if (wrong.length > 0) throw new UsageError(wrong.join('\n'))
  const caPath = options.caFile === undefined ? undefined : resolve(options.caFile)
  return {
    name,
    camera: {
      target,
      username: options.cameraUsername,
      password: options.cameraPasswordFile === undefined ? undefined : await readSecretFile(options.cameraPasswordFile),
    },
    login: {
      url,
      username: options.username,
      password: options.passwordFile === undefined ? undefined : await readSecretFile(options.passwordFile),
      ca: caPath === undefined ? undefined : { path: caPath, bytes: await readCertificates(caPath) },
    },
  }
}

/** Where nobody can be asked, what is configured counts only if that was said. Throws a UsageError that lists what is missing. */
export function checkComplete({ camera, login }: Flags, known: Known, takesConfigured: boolean): void {
  const missing = [
    ...(camera.target === undefined && !(takesConfigured && known.camera !== undefined)
      ? [`  --camera WHAT    ${cameraForms}`]
      : []),
    ...(login.url === undefined && !(takesConfigured && known.url !== undefined)
      ? ['  --broker URL     such as mqtt://192.168.1.10']
      : []),
  ]
  if (missing.length === 0) return
  const advice = takesConfigured
    ? 'Neither is it configured.'
    : 'With --yes, what is configured already counts for what is not said.'
  throw new UsageError(`nobody is to be asked, and this is missing:\n${missing.join('\n')}\n${advice}`)
}

/** Throws a UsageError for a login that this camera can't have. */
export function checkAccount({ username, password }: AccountFlags, { account }: CameraAnswer): void {
  const given = Object.entries({ '--camera-username': username, '--camera-password-file': password })
    .filter(([, value]) => value !== undefined)
    .map(([flag]) => flag)
  if (account === undefined && given.length > 0)
    throw new UsageError(`${given.join(', ')}: for a network camera only, whose URL is --camera`)
  if (account?.username === undefined && account?.password.kind === 'given')
    throw new UsageError('--camera-password-file: without --camera-username')
}
