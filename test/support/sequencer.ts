import { BaseSequencer, type TestSpecification } from 'vitest/node';

const isKube = ({ moduleId }: TestSpecification): boolean => moduleId.includes('/test/kube/');
const isLong = ({ moduleId }: TestSpecification): boolean => moduleId.endsWith('/kube/end-to-end.test.ts');

/**
 * What waits for the Kubernetes API server comes last, but for one file, which builds it where it is not there yet: for
 * minutes, in which the others would hold a place each and do nothing. The longest of them begins in mid-run: as the
 * last it would go on alone.
 */
export default class Sequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const kube = sorted.filter(isKube);
    const long = kube.filter(isLong);
    const [builder, ...waiting] = kube.filter((file) => !isLong(file));
    const others = sorted.filter((file) => !isKube(file));
    const beside = others.filter(({ project }) => project.name === 'beside');
    const rest = others.filter((file) => !beside.includes(file));
    beside.splice(Math.floor(beside.length / 2), 0, ...long);
    return [...(builder === undefined ? [] : [builder]), ...beside, ...waiting, ...rest];
  }
}
