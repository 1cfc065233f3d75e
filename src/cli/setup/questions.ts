import { resolve } from 'node:path'
import * as v from 'valibot'
import { readCertificates } from '../../config/broker-login.ts'
import { configSchema } from '../../config/schema.ts'
import { describeError, SightdError } from '../../core/errors.ts'
import { listCameras } from '../../vision/camera-list.ts'
import { listVideoDevices } from '../camera.ts'
import { printable } from '../text.ts'
import { type AccountFlags, accountOf, askAccount } from './account.ts'
import type { Asker } from './asker.ts'
import { type CameraAnswer, type CameraTarget, knownAccount, nameCamera, parseCamera, urlOf } from './camera-answer.ts'
import { type Known, usualBroker } from './known.ts'
import { isSecure, type LoginAnswer, parseBroker } from './login-answer.ts'

/** A name for people; throws a SightdError `config_invalid` that says what is allowed. */
export function parseName(text: string): string {
  const parsed = v.safeParse(configSchema.entries.name, text)
  if (parsed.success && parsed.output !== undefined) return parsed.output
  throw new SightdError('config_invalid', 'has to be 1 to 100 characters')
}

type Camera = { readonly name: string; readonly words: string }

/** Parts of a board's own camera and video hardware, which are no cameras by themselves. */
const boardParts = /bcm2835|unicam|rpivid|rpi-hevc|pisp|rp1-cfe|hantro|rkisp|rkvdec/i

/** What `sightd camera list` finds here, the pictures that always work, and why there may be more. */
async function findCameras(): Promise<{ cameras: Camera[]; trouble: string | undefined }> {
  let trouble: string | undefined
  const listed = listCameras().catch((error: unknown) => {
    trouble = describeError(error)
    return []
  })
  const [pi, usb] = await Promise.all([listed, listVideoDevices()])
  // A USB camera has more than one device; only its first gives pictures.
  const isCamera = ({ byId, name }: (typeof usb)[number]) =>
    byId === null ? !boardParts.test(name) : !/-index[1-9]\d*$/.test(byId)
  const cameras = [
    ...pi.map(({ index, name }) => ({
      name: nameCamera({ source: 'libcamera', index }),
      words: `Raspberry Pi camera ${name}`,
    })),
    ...usb.filter(isCamera).map(({ byId, device, name }) => ({ name: byId ?? device, words: name })),
    { name: 'demo', words: 'demo pictures, no camera' },
  ]
  return { cameras, trouble }
}

/** What the command line says of the camera. */
export type CameraFlags = AccountFlags & { readonly target?: CameraTarget | undefined }

/** Without a question: what is not said stays as it is configured. */
export function cameraOf({ target, ...account }: CameraFlags, { camera }: Known): CameraAnswer {
  const url = urlOf(target ?? camera)
  return { target, account: url === undefined ? undefined : accountOf(url, account, knownAccount(camera)) }
}

/** Asks for what the command line doesn't say; all of it where `last` is not good. */
export async function askCamera(
  asker: Asker,
  {
    known,
    flags,
    last,
  }: { readonly known: Known; readonly flags: CameraFlags; readonly last: CameraAnswer | undefined },
): Promise<CameraAnswer> {
  const target = flags.target ?? (await askTarget(asker, known, last?.target))
  const url = urlOf(target ?? known.camera)
  if (url === undefined) return { target, account: undefined }
  const lastUrl = urlOf(last?.target ?? known.camera)
  const account = await askAccount(asker, url, {
    known: knownAccount(known.camera),
    flags,
    last: last?.account && lastUrl !== undefined ? { ...last.account, url: lastUrl } : undefined,
  })
  return { target, account }
}

/** Undefined: as it is configured. */
async function askTarget(
  asker: Asker,
  known: Known,
  last: CameraTarget | undefined,
): Promise<CameraTarget | undefined> {
  const { cameras: found, trouble } = await findCameras()
  asker.say('Cameras:')
  for (const [i, { name, words }] of found.entries()) asker.say(`  ${i + 1}  ${printable(words)} (${printable(name)})`)
  if (trouble !== undefined) asker.say(`  Raspberry Pi cameras: ${printable(trouble)}`)
  const configured = known.camera && nameCamera(known.camera)
  // What is configured may have come with the package, and not be there.
  const isLost = configured?.startsWith('libcamera') && !found.some(({ name }) => name === configured)
  const usual = last ? nameCamera(last) : configured === undefined || isLost ? found[0]?.name : configured
  return asker.line('Number, /dev/… or URL', usual ?? 'demo', (answer) => {
    if (answer === configured) return undefined
    return parseCamera(found[Number(answer) - 1]?.name ?? answer)
  })
}

/** What the command line says of the broker, made into what is meant. */
export type LoginFlags = AccountFlags & {
  readonly url?: string | undefined
  readonly ca?: { readonly path: string; readonly bytes: Buffer } | undefined
}

/** Without a question: what is not said stays as it is configured, as far as it is for the same host. */
export function loginOf({ url = '', ca, ...account }: LoginFlags, known: Known): LoginAnswer {
  return {
    url,
    ...accountOf(url, account, known),
    ca:
      ca === undefined ? { kind: isSecure(url) && known.ca !== undefined ? 'kept' : 'none' } : { kind: 'file', ...ca },
  }
}

/** Asks for what the command line doesn't say; all of it where `last` is not good. */
export async function askLogin(
  asker: Asker,
  { known, flags, last }: { readonly known: Known; readonly flags: LoginFlags; readonly last: LoginAnswer | undefined },
): Promise<LoginAnswer> {
  const url =
    flags.url ??
    (await asker.line('Broker', last?.url ?? known.url ?? usualBroker, (answer) => {
      const parsed = parseBroker(answer)
      if (flags.ca === undefined || isSecure(parsed)) return parsed
      throw new SightdError('config_invalid', 'has to be mqtts:// or wss://, since --ca-file is given')
    }))
  const ca = !isSecure(url)
    ? { kind: 'none' as const }
    : flags.ca
      ? { kind: 'file' as const, ...flags.ca }
      : await askCa(asker, last ?? loginOf({ ...flags, url }, known), known)
  return { url, ...(await askAccount(asker, url, { known, flags, last })), ca }
}

async function askCa(asker: Asker, { ca }: LoginAnswer, known: Known): Promise<LoginAnswer['ca']> {
  const usual = ca.kind === 'file' ? ca.path : ca.kind === 'kept' ? (known.ca ?? '-') : '-'
  return asker.line("File with the broker's authority (PEM), - for the usual ones", usual, async (answer) => {
    if (answer === '-') return { kind: 'none' }
    if (answer === known.ca) return { kind: 'kept' }
    const path = resolve(answer)
    return { kind: 'file', path, bytes: await readCertificates(path) }
  })
}
