import { readFile } from 'node:fs/promises'
import { isInWindow } from '../core/daily-window.ts'
import { SightdError } from '../core/errors.ts'
import { openTransport, type Transport } from './transport.ts'
import { TrustedSet } from './trusted-set.ts'

/** The configuration's `ota` section; paths are absolute. */
export type OtaConfig = {
  readonly sources: readonly string[]
  readonly root_file?: string | undefined
  readonly group: string
  readonly ca_file?: string | undefined
  readonly redirect_hosts: readonly string[]
  readonly poll_h: number
  readonly install: 'auto' | 'manual'
  readonly window?: string | undefined
  readonly shadow_s: number
  readonly probation_min: number
  readonly probation_results: number
  readonly max_model_mb: number
  readonly max_slowdown: number
}

export type UpdateSettings = {
  /** Mirrors of one repository, best first; none: no updates. */
  readonly transports: readonly Transport[]
  /** The first root metadata. */
  readonly root: Uint8Array
  readonly group: string
  readonly pollMs: number
  /** Devices that are switched on, or hear of news, at one moment look within this time; left out: 30 s. */
  readonly spreadMs?: number
  /** A candidate waits for `install()`. */
  readonly needsConsent: boolean
  /** Whether a candidate may take over at that time. */
  readonly mayTakeOver: (at: Date) => boolean
  readonly shadowMs: number
  readonly probationMs: number
  readonly probationResults: number
  readonly maxModelBytes: number
  /** A candidate may take so many times as long for a run as the model before. */
  readonly slowdown: number
  /** Left free on the disk, in bytes. */
  readonly reserveBytes?: number
}

const minuteMs = 60_000
const mebibyte = 1024 * 1024

/** Throws a SightdError `config_invalid` when a file that it names can't be read or used. */
export async function readUpdateSettings(ota: OtaConfig): Promise<UpdateSettings> {
  const ca = ota.ca_file === undefined ? {} : { ca: await read(ota.ca_file) }
  return {
    transports: ota.sources.map((source) => openTransport(source, { allowedHosts: ota.redirect_hosts, ...ca })),
    root: ota.root_file === undefined ? Buffer.alloc(0) : await readRoot(ota.root_file),
    group: ota.group,
    pollMs: ota.poll_h * 60 * minuteMs,
    needsConsent: ota.install === 'manual',
    mayTakeOver: (at) => ota.window === undefined || isInWindow(ota.window, at),
    shadowMs: ota.shadow_s * 1000,
    probationMs: ota.probation_min * minuteMs,
    probationResults: ota.probation_results,
    maxModelBytes: ota.max_model_mb * mebibyte,
    slowdown: ota.max_slowdown,
  }
}

/** The first root. Throws a SightdError `config_invalid` when there is none in the file. */
export async function readRoot(path: string): Promise<Buffer> {
  const bytes = await read(path)
  try {
    TrustedSet.fromRoot(bytes)
  } catch (error) {
    throw new SightdError('config_invalid', `${path}: no root metadata to begin with`, { cause: error })
  }
  return bytes
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new SightdError('config_invalid', `${path}: can't be read`, { cause: error })
  }
}
