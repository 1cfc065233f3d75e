import { namesIn, readText } from './tree.ts'

/** What a board tells of its own health, without a program being run; null for what it doesn't tell. */

/** °C, of the zone named `cpu-thermal` (Raspberry Pi: `cpu-thermal` or, on old kernels, `cpu_thermal`), else the first. */
export async function readTemperature(root: string): Promise<number | null> {
  const folder = 'sys/class/thermal'
  const names = (await namesIn(root, folder)).filter((name) => /^thermal_zone\d+$/.test(name))
  const zones = await Promise.all(
    names.map(async (name) => ({
      type: await readText(root, `${folder}/${name}/type`),
      text: await readText(root, `${folder}/${name}/temp`),
    })),
  )
  const zone = zones.find(({ type }) => /^cpu[-_]thermal$/.test(type ?? '')) ?? zones[0]
  return /^-?\d{1,7}$/.test(zone?.text ?? '') ? Number(zone?.text) / 1000 : null
}

/**
 * The firmware's bits: 0 under-voltage, 1 frequency capped, 2 throttled, 3 soft temperature limit; 16 to 19 the same since
 * boot. Its sysfs file lies at a place that differs between boards and kernels; hexadecimal with or without 0x.
 */
export async function readThrottled(root: string): Promise<number | null> {
  const platform = 'sys/devices/platform'
  const parents = (await namesIn(root, platform)).filter((name) => /^soc(@|$)/.test(name))
  for (const folder of [...parents.map((name) => `${platform}/${name}`), platform]) {
    for (const name of (await namesIn(root, folder)).filter((child) => child.includes('firmware'))) {
      const text = await readText(root, `${folder}/${name}/get_throttled`)
      if (text !== null && /^(0x)?[0-9a-f]{1,8}$/i.test(text)) return Number.parseInt(text, 16)
    }
  }
  return null
}

/** Whether the firmware holds the CPU back now, for heat or want of power (bits 1 to 3 of `get_throttled`). */
export function isSlowed(throttled: number | null): boolean {
  return ((throttled ?? 0) & 0b1110) !== 0
}
