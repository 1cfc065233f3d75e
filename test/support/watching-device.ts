import { liveAnswers } from './live-answers.ts'

/** `<model folder> <frames>`: a process that looks at some frames and says what it saw. */
const [folder = '', frames] = process.argv.slice(2)

process.stdout.write(JSON.stringify(await liveAnswers(folder, Number(frames))))
