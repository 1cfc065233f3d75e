import type { TestProject } from 'vitest/node'
import { BootedSystem, bootObstacle } from './support/booted-system.ts'
import { type Suite, suites, systemTree } from './support/system-tree.ts'

/** A system to boot, or why that can't be done. */
export type System = { readonly suite: Suite; readonly tree: string; readonly problem: string | undefined }

declare module 'vitest' {
  interface ProvidedContext {
    readonly systems: readonly System[]
  }
}

/** Makes the systems that tests boot; those of an earlier run are taken. */
export default async function setup(project: TestProject): Promise<void> {
  const obstacle = bootObstacle()
  const systems = suites.map(async (suite): Promise<System> => {
    if (obstacle !== undefined) return { suite, tree: '', problem: obstacle }
    try {
      const tree = await systemTree(suite)
      return { suite, tree, problem: await BootedSystem.tryOut(tree) }
    } catch (error) {
      return { suite, tree: '', problem: error instanceof Error ? error.message : String(error) }
    }
  })
  project.provide('systems', await Promise.all(systems))
}
