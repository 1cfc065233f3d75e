import type { Board } from './board.ts'
import { type CameraNeed, diagnoseCamera } from './camera-diagnosis.ts'
import type { DiskFact, Facts } from './facts.ts'
import { type Finding, ok, problem, warning } from './finding.ts'

/**
 * From facts to findings, without looking at anything itself. What could not be found out is a warning that says
 * `unknown`; it never passes for fine. What this kind of board can't tell is no warning: it would never go away.
 */

export type Situation = {
  readonly facts: Facts
  readonly board: Board
  /** Node's word for the machine: `arm64`, `x64`, `arm`. */
  readonly arch: string
  readonly nowMs: number
  /** What the configured source works through; null when no configuration says. */
  readonly need: CameraNeed | null
}

export function diagnose(situation: Situation): Finding[] {
  const { facts, board, arch, need } = situation
  return [
    diagnoseSystem(board, arch),
    diagnoseCpu(facts.cpuFeatures, arch),
    ...diagnoseCamera(facts, need),
    diagnoseClock(situation),
    ...facts.disks.map(diagnoseDisk),
    diagnoseMemory(facts.memory),
    diagnoseCma(facts.memory, board, need),
    diagnoseTemperature(facts.tempC, board),
    diagnoseThrottling(facts.throttled, board),
  ]
}

function diagnoseSystem({ os, model }: Board, arch: string): Finding {
  const found = `${model ?? 'board unknown (no device tree)'}, ${os ?? 'operating system unknown'}, ${arch}`
  return arch === 'arm64' || arch === 'x64'
    ? ok('system', found)
    : problem('system', found, 'Install a 64-bit operating system: ONNX Runtime has no build for this one.')
}

function diagnoseCpu(features: readonly string[] | null, arch: string): Finding {
  const check = 'cpu'
  if (features === null || features.length === 0)
    return warning(
      check,
      'unknown: /proc/cpuinfo names no features',
      'See below whether the model runs; if it does, all is well.',
    )
  const has = (name: string) => features.includes(name)
  if (arch === 'arm64') {
    if (!has('asimd')) return problem(check, 'no NEON (asimd)', 'Use another board: the model needs NEON.')
    if (!has('asimddp')) return ok(check, 'NEON; no dot product (asimddp), so int8 inference is slower')
    return ok(check, `NEON, dot product (asimddp)${has('i8mm') ? ', int8 matrix product (i8mm)' : ''}`)
  }
  if (!has('avx2'))
    return warning(check, 'no AVX2', 'Inference is slow on this CPU; take one with AVX2 if it is too slow for you.')
  const hasVnni = has('avx512_vnni') || has('avx_vnni')
  return ok(check, hasVnni ? 'AVX2, VNNI' : 'AVX2; no VNNI, so int8 inference is slower')
}

/** sightd did not exist before; a clock that says so has not been set. */
const firstPossibleMs = Date.UTC(2025, 0)

function diagnoseClock({ facts: { isClockSynchronised }, nowMs }: Situation): Finding {
  const check = 'clock'
  const now = new Date(nowMs).toISOString().slice(0, 16).replace('T', ' ')
  const advice = 'Turn time synchronisation on: sudo timedatectl set-ntp true; it needs the network (UDP port 123).'
  if (nowMs < firstPossibleMs) return problem(check, `not set: it says ${now} UTC, so TLS will fail`, advice)
  if (isClockSynchronised === true) return ok(check, `synchronised, ${now} UTC`)
  if (isClockSynchronised === false) return warning(check, `not synchronised, it says ${now} UTC`, advice)
  return warning(
    check,
    `unknown whether it is synchronised (timedatectl doesn't say), it says ${now} UTC`,
    'Compare it with another clock; results carry its time and TLS needs it.',
  )
}

const mebibyte = 1024 ** 2

function diagnoseDisk({ path, freeBytes, isWritable, isReadOnly }: DiskFact): Finding {
  const check = `disk ${path}`
  const found = `${megabytes(freeBytes)} free`
  const advice = `Make room on the disk of ${path}; \`sudo journalctl --vacuum-size=50M\` and \`sudo apt clean\` are a start.`
  // Whose room is of no use to anybody.
  if (isReadOnly)
    return problem(
      check,
      `${found}, but its file system is read-only`,
      'Mount it writable (`findmnt` and `sudo dmesg` tell why it is not; a worn SD card is a usual reason), or name another folder.',
    )
  if (freeBytes < 20 * mebibyte) return problem(check, found, advice)
  if (freeBytes < 200 * mebibyte) return warning(check, found, advice)
  if (!isWritable)
    return warning(check, `${found}, but this user can't write there`, `Run doctor as the user that runs sightd.`)
  return ok(check, found)
}

function diagnoseMemory({ availableBytes }: Facts['memory']): Finding {
  const check = 'memory'
  if (availableBytes === null)
    return warning(check, 'unknown: /proc/meminfo has no MemAvailable', 'See `free -m`; sightd takes up to 150 MB.')
  const found = `${megabytes(availableBytes)} available`
  const advice = 'sightd takes up to 150 MB: end other programs, such as the desktop, or take a board with more memory.'
  if (availableBytes < 100 * mebibyte) return problem(check, found, advice)
  return availableBytes < 200 * mebibyte ? warning(check, found, advice) : ok(check, found)
}

/** Boards up to the Raspberry Pi 4 take camera buffers from CMA; a full-resolution sensor mode alone needs tens of MB. */
function diagnoseCma(
  { cmaTotalBytes, cmaFreeBytes }: Facts['memory'],
  { model }: Board,
  need: CameraNeed | null,
): Finding {
  const check = 'cma'
  const mayBeNeeded = need === null || need.devices.includes('dma_heap')
  const isPi = isRaspberryPi(model)
  const advice =
    'If the camera fails for want of memory, add cma-256 to dtoverlay=vc4-kms-v3d in /boot/firmware/config.txt.'
  if (cmaTotalBytes === null)
    return isPi && mayBeNeeded
      ? warning(check, 'none: this kernel has no CMA', advice)
      : ok(check, 'none in this kernel')
  const found = `${megabytes(cmaTotalBytes)}, ${cmaFreeBytes === null ? 'free part unknown' : `${megabytes(cmaFreeBytes)} free`}`
  const isSmall = cmaTotalBytes < 64 * mebibyte || (cmaFreeBytes !== null && cmaFreeBytes < 16 * mebibyte)
  return isSmall && mayBeNeeded && isPi ? warning(check, found, advice) : ok(check, found)
}

/** Raspberry Pi firmware slows the CPU from 80 °C on, and more at 85 °C (Raspberry Pi documentation, frequency management). */
function diagnoseTemperature(tempC: number | null, { model }: Board): Finding {
  const check = 'temperature'
  if (tempC === null && !isRaspberryPi(model)) return ok(check, notTold)
  if (tempC === null)
    return warning(check, 'unknown: no thermal zone', 'Feel the board under load; a CPU that is too hot slows down.')
  const found = `${tempC.toFixed(1)} °C`
  const advice = 'Cool it: a heat sink or fan, air around the board, or a lower inference.max_fps.'
  if (tempC >= 80) return problem(check, found, advice)
  return tempC >= 70 ? warning(check, found, advice) : ok(check, found)
}

const throttleBits = ['under-voltage', 'frequency capped', 'throttled', 'soft temperature limit']

function diagnoseThrottling(throttled: number | null, { model }: Board): Finding {
  const check = 'throttling'
  // Only Raspberry Pi firmware reports it.
  if (throttled === null && !isRaspberryPi(model)) return ok(check, notTold)
  if (throttled === null)
    return warning(check, 'unknown: no get_throttled file', 'Ask the firmware: vcgencmd get_throttled; 0x0 is good.')
  const named = (bits: number) => throttleBits.filter((_, bit) => (bits & (1 << bit)) !== 0)
  const now = named(throttled)
  const before = named(throttled >>> 16).filter((name) => !now.includes(name))
  if (now.length + before.length === 0) return ok(check, 'none since boot')
  const found = [now.length > 0 && `now: ${now.join(', ')}`, before.length > 0 && `since boot: ${before.join(', ')}`]
  const isVoltage = [...now, ...before].includes('under-voltage')
  const isHeat = [...now, ...before].some(
    (name) => name !== 'under-voltage' && !(isVoltage && name === 'frequency capped'),
  )
  const advice = [
    isVoltage && "Use the board's official power supply and a short, thick cable.",
    isHeat && 'Cool it: a heat sink or fan, air around the board.',
  ]
  const judge = now.includes('under-voltage') || now.includes('throttled') ? problem : warning
  return judge(
    check,
    `${found.filter(Boolean).join('; ')} (0x${throttled.toString(16)})`,
    advice.filter(Boolean).join(' '),
  )
}

/** Every Raspberry Pi tells it; of others nobody knows more. */
const notTold = 'not told by this board'

function isRaspberryPi(model: string | null): boolean {
  return model?.startsWith('Raspberry Pi') ?? false
}

function megabytes(bytes: number): string {
  return bytes < 10 * 1024 * mebibyte
    ? `${Math.floor(bytes / mebibyte)} MB`
    : `${Math.floor(bytes / 1024 / mebibyte)} GB`
}
