/** Every topic of one device. */
export type Topics = { readonly status: string; readonly info: string; readonly state: string; readonly result: string }

export function deviceTopics(baseTopic: string, id: string): Topics {
  const topic = (name: string) => `${baseTopic}/${id}/${name}`
  return { status: topic('status'), info: topic('info'), state: topic('state'), result: topic('result') }
}
