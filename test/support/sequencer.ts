import { BaseSequencer, type TestSpecification } from 'vitest/node';

const isKube = ({ moduleId }: TestSpecification): boolean => moduleId.includes('/test/kube/');

/**
 * What waits for the Kubernetes API server comes last, but for one file, which builds it where it is not there yet: for
 * minutes, in which the others would hold a place each and do nothing.
 */
export default class Sequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const [builder, ...waiting] = sorted.filter(isKube);
    const others = sorted.filter((file) => !isKube(file));
    return [...(builder === undefined ? [] : [builder]), ...others, ...waiting];
  }
}
