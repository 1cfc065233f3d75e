import { namesIn, readText } from './tree.ts'

/**
 * Joules that the machine's own counters show since some time past, all packages together; null where there are none or where
 * they are not for us to read. Only the difference between two readings says anything; a counter that began anew in between
 * makes it negative.
 */
export async function readEnergy(root: string): Promise<number | null> {
  return (await sumOf(root, packageCounters)) ?? (await sumOf(root, monitorCounters))
}

type Counters = (root: string) => Promise<string[]>

/** Linux powercap: `intel-rapl:0` is a package; its parts (`intel-rapl:0:1`) are in it already. */
const packageCounters: Counters = async (root) => {
  const folder = 'sys/class/powercap'
  const zones = (await namesIn(root, folder)).filter((name) => /^[a-z-]+:\d+$/.test(name))
  return zones.map((zone) => `${folder}/${zone}/energy_uj`)
}

/** Linux hwmon: the first counter of each chip. */
const monitorCounters: Counters = async (root) => {
  const folder = 'sys/class/hwmon'
  return (await namesIn(root, folder)).map((chip) => `${folder}/${chip}/energy1_input`)
}

async function sumOf(root: string, counters: Counters): Promise<number | null> {
  const texts = await Promise.all((await counters(root)).map((path) => readText(root, path)))
  const microjoules = texts.filter((text) => text !== null && /^\d{1,18}$/.test(text)).map(Number)
  return microjoules.length === 0 ? null : microjoules.reduce((sum, one) => sum + one, 0) / 1e6
}
