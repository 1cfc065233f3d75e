import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { packageRoot } from '../../../src/lib/package.ts'
import { tempFolder } from '../../support/temp-folder.ts'

test('kernels/preprocess.wasm is what its source becomes; `npm run kernels` makes it anew', async () => {
  const folder = await tempFolder()
  const outFile = join(folder, 'preprocess.wasm')
  const asc = join(packageRoot, 'node_modules/assemblyscript/bin/asc.js')
  execFileSync(process.execPath, [asc, '--config', 'kernels/asconfig.json', '--outFile', outFile], { cwd: packageRoot })
  expect(readFileSync(outFile).equals(readFileSync(join(packageRoot, 'kernels/preprocess.wasm')))).toBe(true)
})
