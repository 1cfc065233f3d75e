import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { readEnergy } from '../../../src/system/energy.ts'
import { tempFolder } from '../../support/temp-folder.ts'

async function machine(files: Record<string, string>): Promise<string> {
  const root = await tempFolder()
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return root
}

const powercap = (zone: string) => `sys/class/powercap/${zone}/energy_uj`

test.each<[string, Record<string, string>, number | null]>([
  ['a machine without counters', {}, null],
  [
    'packages, without their parts',
    {
      [powercap('intel-rapl:0')]: '1500000\n',
      [powercap('intel-rapl:1')]: '500000\n',
      [powercap('intel-rapl:0:0')]: '9000000\n',
      [powercap('intel-rapl')]: '7\n',
    },
    2,
  ],
  [
    'a monitor chip',
    { 'sys/class/hwmon/hwmon0/temp1_input': '41000', 'sys/class/hwmon/hwmon1/energy1_input': '2500000' },
    2.5,
  ],
  [
    'both, of which packages count',
    { [powercap('intel-rapl:0')]: '1000000', 'sys/class/hwmon/hwmon1/energy1_input': '2500000' },
    1,
  ],
  ['a counter that makes no sense', { [powercap('intel-rapl:0')]: '-5 or so' }, null],
])('%s', async (_, files, expected) => {
  expect(await readEnergy(await machine(files))).toBe(expected)
})
