import { cpus, release } from 'node:os'
import { packageVersions } from '../../lib/package.ts'
import { readBoard } from '../../system/board.ts'
import { readTemperature, readThrottled } from '../../system/board-sensors.ts'
import { readEnergy } from '../../system/energy.ts'
import { readCpuFeatures } from '../../system/facts.ts'

/** What decides how fast int8 is, in the kernel's words: ARM's, then x86's. */
const telling = ['asimddp', 'i8mm', 'sve', 'avx2', 'avx_vnni', 'avx512_vnni', 'amx_int8']

/** What a figure has to be read with. Null: the machine does not tell. */
export type DeviceFacts = {
  readonly board: string | null
  readonly cpu: { readonly model: string | null; readonly cores: number; readonly features: readonly string[] | null }
  readonly kernel: string
  readonly os: string | null
  readonly arch: string
  readonly sightd: string
  readonly node: string
  readonly ort: string
}

export async function readDevice(root = '/'): Promise<DeviceFacts> {
  const [{ model: board, os }, features] = await Promise.all([readBoard(), readCpuFeatures(root)])
  const { own, ort } = packageVersions()
  const cores = cpus()
  return {
    board,
    cpu: {
      model: cores[0]?.model.trim() || null,
      cores: cores.length,
      features: features?.filter((feature) => telling.includes(feature)) ?? null,
    },
    kernel: `Linux ${release()}`,
    os,
    arch: process.arch,
    sightd: own,
    node: process.versions.node,
    ort,
  }
}

/** The board's own gauges, null where it has none. `throttled`: see `readThrottled`; `energyJ`: see `readEnergy`. */
export type Gauges = {
  readonly tempC: number | null
  readonly throttled: number | null
  readonly energyJ: number | null
}

export async function readGauges(root = '/'): Promise<Gauges> {
  const [tempC, throttled, energyJ] = await Promise.all([readTemperature(root), readThrottled(root), readEnergy(root)])
  return { tempC, throttled, energyJ }
}
