import { editConfig } from '../config/edit.ts'
import { buildConfig } from '../config/load.ts'
import { describeError, exitCodes, SightdError } from '../core/errors.ts'
import type { Finding } from '../system/finding.ts'
import { identify } from '../system/identity.ts'
import { Asker, Stopped } from './setup/asker.ts'
import { type CameraAnswer, cameraChange } from './setup/camera-answer.ts'
import { applyPlan, type FilePlan, planFiles } from './setup/files.ts'
import { checkAccount, checkComplete, type Flags, readFlags, type SetupOptions, UsageError } from './setup/flags.ts'
import { type Known, placeholders, readKnown } from './setup/known.ts'
import { changedCredentials, isSecure, type LoginAnswer, loginChange } from './setup/login-answer.ts'
import { findPlace, type Place } from './setup/place.ts'
import { askCamera, askLogin, cameraOf, loginOf, parseName } from './setup/questions.ts'
import { describeFinding, describeOutcome, outcomeJson } from './setup/report.ts'
import { tryCamera, tryLogin } from './setup/trials.ts'

/** What a new file begins with. */
const preamble = `# Made by \`sightd setup\`, which can be run again and keeps what is written here.
# Every key: configuration.md (on a device in /usr/share/doc/sightd). \`sightd config check\` finds mistakes.

`

/** `sightd setup`: asks the few things needed, tries each at once, and writes them down. */
export async function setup(options: SetupOptions, signal: AbortSignal): Promise<number> {
  try {
    return await askAndWrite(options, signal)
  } catch (error) {
    if (error instanceof UsageError) return complain(error.message, exitCodes.usage)
    if (error instanceof Stopped) return complain('stopped; nothing was written', exitCodes.failure)
    throw error
  }
}

type Situation = {
  readonly flags: Flags
  readonly place: Place
  readonly known: Known
  /** Undefined: nobody is to be asked. */
  readonly asker: Asker | undefined
  readonly isTried: boolean
  readonly signal: AbortSignal
}

async function askAndWrite(options: SetupOptions, signal: AbortSignal): Promise<number> {
  const { yes = false, json = false, dryRun: isDryRun = false } = options
  const flags = await readFlags(options)
  const place = await findPlace(options)
  const known = await readKnown(place)
  const asker = !yes && Asker.isPossible ? new Asker(signal) : undefined
  if (asker === undefined) checkComplete(flags, known, yes)
  const situation = { flags, place, known, asker, isTried: options.test ?? true, signal }

  const name = await decideName(situation)
  const camera = await decideCamera(situation)
  const login = await decideLogin(situation)
  const isHomeAssistant =
    options.homeAssistant ??
    (await asker?.yes('Show it in Home Assistant?', known.homeAssistant)) ??
    known.homeAssistant

  const cameraChanges = cameraChange(camera.answer, known.camera, place)
  const loginChanges = loginChange(login.answer, known, place)
  const { text } = editConfig(textOf(place), place.path, {
    ...(name === known.name ? {} : { name }),
    camera: cameraChanges.camera,
    mqtt: loginChanges.mqtt,
    ...(isHomeAssistant === known.homeAssistant ? {} : { home_assistant: { enabled: isHomeAssistant } }),
  })
  const outcome = { place, camera: camera.finding, broker: login.finding, isHomeAssistant, isDryRun }
  const end = (plan: FilePlan, exitCode: number) => {
    if (json) process.stdout.write(`${outcomeJson({ ...outcome, plan })}\n`)
    else if (exitCode === exitCodes.ok) process.stdout.write(`${describeOutcome({ ...outcome, plan })}\n`)
    return exitCode
  }
  const nothing = { folders: [], written: [], removed: [], unused: [] }
  if (asker === undefined && [camera, login].some(({ finding }) => finding?.status === 'problem')) {
    end(nothing, exitCodes.failure)
    return complain('nothing was written; --no-test takes what does not work (yet)', exitCodes.failure)
  }
  const plan = await planFiles(place, text, cameraChanges, loginChanges)
  if (isDryRun) return end(plan, exitCodes.ok)
  if (asker?.hasAsked && !(await mayWrite(asker, plan))) {
    end(nothing, exitCodes.failure)
    return complain('nothing was written', exitCodes.failure)
  }
  if (signal.aborted) throw new Stopped()
  await applyPlan(plan).catch((error: unknown) => {
    throw new SightdError('setup_failed', `${place.path}: can't be written`, { cause: error })
  })
  return end(plan, exitCodes.ok)
}

async function decideName({ flags, known, asker }: Situation): Promise<string | undefined> {
  if (flags.name !== undefined || asker === undefined) return flags.name ?? known.name
  const usual = known.name ?? (await identify(undefined)).id
  // What is only shown as a default need not be written down.
  return asker.line('Name of this device', usual, (answer) => (answer === usual ? known.name : parseName(answer)))
}

async function decideCamera(situation: Situation) {
  const { flags, place, known, asker, signal } = situation
  let last: CameraAnswer | undefined
  const ask = async (isAgain: boolean): Promise<CameraAnswer> => {
    if (asker === undefined) return cameraOf(flags.camera, known)
    return askCamera(asker, { known, flags: isAgain ? {} : flags.camera, last })
  }
  return decide(situation, ask, async (answer) => {
    if (last === undefined) checkAccount(flags.camera, answer)
    last = answer
    const { camera: patch, password } = cameraChange(answer, known.camera, place)
    const { camera } = buildConfig(textOf(place), place.path, { ...placeholders(known.camera), camera: patch })
    return () => tryCamera(camera, { password, isConfigured: Object.keys(patch).length === 0 }, signal)
  })
}

async function decideLogin(situation: Situation) {
  const { flags, place, known, asker, signal } = situation
  let last: LoginAnswer | undefined
  const ask = async (isAgain: boolean): Promise<LoginAnswer> => {
    if (asker === undefined) return loginOf({ ...flags.login, url: flags.login.url ?? known.url }, known)
    return askLogin(asker, { known, flags: isAgain ? {} : flags.login, last })
  }
  return decide(situation, ask, async (answer) => {
    last = answer
    if (answer.ca.kind === 'file' && !isSecure(answer.url))
      throw new UsageError(`--ca-file: ${answer.url} is without TLS; with it: mqtts:// or wss://`)
    const change = loginChange(answer, known, place)
    const { mqtt } = buildConfig(textOf(place), place.path, { ...placeholders(known.camera), mqtt: change.mqtt })
    // A password that is not written down yet stands for what systemd would hand over.
    const { password_file: file, ...others } = mqtt
    const config = change.password === undefined && file !== undefined ? mqtt : others
    return () => tryLogin(config, changedCredentials(place.credentials, change), signal)
  })
}

/**
 * Asks until the answer is good, or is to be kept all the same. `prepare` throws a SightdError `config_invalid` for an answer
 * that no configuration may hold, which can't be kept, and gives the trial.
 */
async function decide<T>(
  { asker, isTried }: Situation,
  ask: (isAgain: boolean) => Promise<T>,
  prepare: (answer: T) => Promise<() => Promise<Finding>>,
): Promise<{ answer: T; finding: Finding | null }> {
  for (let isAgain = false; ; isAgain = true) {
    const answer = await ask(isAgain)
    try {
      const attempt = await prepare(answer)
      if (!isTried) return { answer, finding: null }
      if (asker?.hasAsked) asker.say('  trying …')
      const finding = await attempt()
      process.stderr.write(`${describeFinding(finding)}\n`)
      if (finding.status !== 'problem' || asker === undefined) return { answer, finding }
      if (await asker.line('Enter to answer again, k to keep it all the same', '', (typed) => /^k(eep)?$/i.test(typed)))
        return { answer, finding }
    } catch (error) {
      if (asker === undefined || !(error instanceof SightdError) || error.code !== 'config_invalid') throw error
      asker.say(`  ${describeError(error)}`)
    }
  }
}

async function mayWrite(asker: Asker, { written, removed }: FilePlan): Promise<boolean> {
  if (written.length + removed.length === 0) return true
  for (const { path } of written) asker.say(`  ${path}`)
  for (const path of removed) asker.say(`  ${path} (removed)`)
  return asker.yes('Write these?', true)
}

function textOf({ before }: Place): string {
  return before?.text ?? preamble
}

function complain(text: string, exitCode: number): number {
  process.stderr.write(`sightd: ${text}\n`)
  return exitCode
}
