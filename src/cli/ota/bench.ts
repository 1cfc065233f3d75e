import { realpath } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { exitCodes, SightdError } from '../../core/errors.ts'
import { makeFolderDurably } from '../../lib/atomic-file.ts'
import { describeDiskError, errorCode } from '../../lib/disk-error.ts'
import { lockPath } from '../../lib/path-lock.ts'
import { DownloadError } from '../../ota/download-error.ts'
import { type Change, type Draft, lackOf, makeDrafts } from '../../ota/drafts.ts'
import { writeExchange } from '../../ota/exchange.ts'
import { Keyring, type NewKey, writeKey } from '../../ota/key-files.ts'
import { OtaError } from '../../ota/ota-error.ts'
import { filesOf } from '../../ota/publish.ts'
import {
  type ReadFile,
  type RepositoryFile,
  type RepositoryState,
  readerOf,
  readRepository,
  writeFiles,
} from '../../ota/repository.ts'
import { printableJson } from '../text.ts'
import { Passphrases } from './passphrase.ts'

export type OtaOptions = {
  readonly repo?: string
  readonly keys?: string
  readonly passphraseFile?: string
  readonly unsigned?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

/** Where an operator's command works: the repository as it is, and the keys. */
export type Bench = {
  readonly repo: string
  readonly read: ReadFile
  readonly state: RepositoryState | undefined
  readonly keyring: Keyring
  readonly passphrases: Passphrases
  readonly nowMs: number
  readonly options: OtaOptions
}

/** What a command did: sentences for a person, the same as facts for a program. */
export type Report = {
  readonly lines: readonly string[]
  readonly facts: { readonly [name: string]: unknown }
  readonly warnings?: readonly string[]
}

/** The first release came later; a clock before it was never set. */
const earliestMs = Date.parse('2025-01-01T00:00:00Z')
const clockToleranceMs = 5 * 60_000

/**
 * Runs a command that changes a repository, alone; what it can't do becomes a sentence. With `makesFolder` the repository's
 * folder is made first, since only a folder that is there can be locked.
 */
export async function atBench(
  options: OtaOptions,
  signal: AbortSignal,
  work: (bench: Bench) => Promise<number>,
  { makesFolder = false } = {},
): Promise<number> {
  const repo = resolve(options.repo ?? 'repository')
  const keys = await keysFolder(options)
  return explained(async () => {
    if (makesFolder && !options.dryRun) await makeRepository(repo)
    // Who only looks disturbs nobody, and leaves no lock behind.
    await using lock = options.dryRun ? new DisposableStack() : await lockPath('ota', repo)
    if (lock === undefined) throw new SightdError('ota_failed', `${repo}: another sightd ota works on it`)
    const passphrases = new Passphrases(options.passphraseFile, signal)
    const read = readerOf(repo)
    const state = await readRepository(read)
    const nowMs = Date.now()
    requireClock(state, nowMs)
    const keyring = await Keyring.open(keys, passphrases.forKey)
    // Awaited here: the lock goes at the end of this block.
    return await work({ repo, read, state, keyring, passphrases, nowMs, options })
  })
}

/** The folder of keys. Throws a SightdError for one in the repository, by whatever name. */
export async function keysFolder(options: OtaOptions): Promise<string> {
  const repo = resolve(options.repo ?? 'repository')
  const keys = resolve(options.keys ?? 'keys')
  const [first = ''] = relative(await realPath(repo), await realPath(keys)).split('/')
  if (first !== '..')
    throw new SightdError('ota_failed', `${keys}: keys don't belong into ${repo}, which everyone may read`)
  return keys
}

/** Where a path leads, also when what it names, or more of it, is not there yet. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT' && dirname(path) !== path)
      return join(await realPath(dirname(path)), basename(path))
    throw new SightdError('ota_failed', `${path}: can't be read: ${describeDiskError(error)}`)
  }
}

async function makeRepository(path: string): Promise<void> {
  await makeFolderDurably(path, 0o755).catch((error: unknown) => {
    throw new SightdError('ota_failed', `${path}: can't be made: ${describeDiskError(error)}`)
  })
}

/** Turns what a repository or a source did wrong into an error for the operator. */
export async function explained(work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof OtaError || error instanceof DownloadError)
      throw new SightdError('ota_failed', error.message, { cause: error.cause })
    throw error
  }
}

function requireClock(state: RepositoryState | undefined, nowMs: number): void {
  const now = new Date(nowMs).toISOString()
  if (nowMs < earliestMs)
    throw new SightdError(
      'ota_failed',
      `the clock of this machine says ${now}: set it first, all that is signed has a date`,
    )
  const signed = state?.timestamp['x-sightd-signed']
  if (typeof signed === 'string' && Date.parse(signed) > nowMs + clockToleranceMs)
    throw new SightdError(
      'ota_failed',
      `the repository was last signed at ${signed}, and the clock of this machine says ${now}: one of both is wrong`,
    )
}

export function needState({ state, repo }: Bench): RepositoryState {
  if (state !== undefined) return state
  throw new SightdError('ota_failed', `${repo}: no repository there; sightd ota init makes one`)
}

export type Finish = {
  readonly report: Report
  /** Keys that the change needs and that are on no disk yet. */
  readonly newKeys?: readonly NewKey[]
  readonly isRefresh?: boolean
}

/** Signs a change with the keys that are here, and writes it, or what is to be signed elsewhere. */
export async function finish(bench: Bench, change: Change, how: Finish): Promise<number> {
  for (const key of how.newKeys ?? []) bench.keyring.add(key)
  const drafts = await makeDrafts(bench.state, change, bench.keyring, bench.nowMs)
  const { unsigned } = bench.options
  if (unsigned === undefined) return finishDrafts(bench, drafts, change.files ?? [], how)
  const lacks = drafts.flatMap((draft) => lackOf(draft, bench.keyring) ?? [])
  if (!bench.options.dryRun) {
    await writeKeys(bench, how.newKeys ?? [])
    await writeFiles(bench.repo, change.files ?? [])
    await writeExchange(unsigned, drafts)
  }
  const lines = [
    `${unsigned}: ${drafts.map(({ role, envelope }) => `${role} ${envelope.signed.version}`).join(', ')} to be signed`,
    ...lacks,
    `there: sightd ota sign ${unsigned} --key KEY.pem; back here: sightd ota import ${unsigned}`,
  ]
  return tell(bench, { ...how.report, lines, facts: { ...how.report.facts, unsigned, lacks } }, [], bench.state)
}

/** Writes drafts that have all their signatures, with snapshot and timestamp. */
export async function finishDrafts(
  bench: Bench,
  drafts: readonly Draft[],
  targetFiles: readonly RepositoryFile[],
  { report, newKeys = [], isRefresh = false }: Finish,
): Promise<number> {
  const { state, keyring, nowMs, read, repo, options } = bench
  const lacks = drafts.flatMap((draft) => lackOf(draft, keyring) ?? [])
  if (lacks.length > 0)
    throw new SightdError(
      'ota_failed',
      `${keyring.folder} has too few private keys: ${lacks.join('; ')}. ` +
        'To sign on the machine that has them: --unsigned FILE, there sightd ota sign FILE, here sightd ota import FILE',
    )
  const { files, state: after } = await filesOf(state, drafts, targetFiles, { keyring, nowMs, read, isRefresh })
  if (!options.dryRun) {
    // First the keys: what they signed is worth nothing without them.
    await writeKeys(bench, newKeys)
    await writeFiles(repo, files)
  }
  return tell(bench, report, files, after)
}

async function writeKeys({ keyring, passphrases }: Bench, newKeys: readonly NewKey[]): Promise<void> {
  if (newKeys.length === 0) return
  const passphrase = await passphrases.forNewKeys(newKeys.map(({ name }) => name))
  for (const key of newKeys) await writeKey(keyring.folder, key, passphrase)
}

/** Nothing but what was done, and what an operator should know about it. */
export function tell(
  { options }: { options: OtaOptions },
  { lines, facts, warnings = [] }: Report,
  files: readonly RepositoryFile[],
  state: RepositoryState | undefined,
): number {
  const { json = false, dryRun = false } = options
  for (const warning of warnings) process.stderr.write(`sightd: warning: ${warning}\n`)
  if (json) {
    const versions = state && {
      root: state.root.version,
      targets: state.targets.version,
      deploy: state.deploy.version,
      snapshot: state.snapshot.version,
      timestamp: state.timestamp.version,
    }
    printJson({ ...facts, dry_run: dryRun, warnings, written: files.map(({ name }) => name), versions })
    return exitCodes.ok
  }
  printLines(lines)
  if (dryRun)
    printLines([
      ...files.map(({ name, bytes }) => `would write ${name}, ${bytes.length} bytes`),
      'nothing was changed (--dry-run)',
    ])
  return exitCodes.ok
}

/** Without what does something to a terminal: names may come from a file that anyone has written. */
export function printLines(lines: readonly string[], output: NodeJS.WritableStream = process.stdout): void {
  for (const line of lines) output.write(`${line.replaceAll(/\p{C}/gu, '?')}\n`)
}

export function printJson(value: unknown): void {
  process.stdout.write(`${printableJson(JSON.stringify(value))}\n`)
}
