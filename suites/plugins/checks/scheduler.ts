import { poll } from '../../../testbed/waiting';
import { expect, type Check } from '../check';
import { SHELF_TASK } from '../shelf';

interface Tasks {
  tasks: { taskId: string; taskState?: { lastRunEndedAt?: string } }[];
}

const TASKS = 'catalog/.backstage/scheduler/v1/tasks';

export const scheduler: Check<string> = {
  plugin: 'scheduler',
  does: 'a task runs at start and when triggered',
  async run({ here, there, installation, signal }, earlierRun) {
    const lastRun = async () => {
      const { tasks } = await there.service.json<Tasks>(TASKS);
      const task = tasks.find(({ taskId }) => taskId === SHELF_TASK);
      return task?.taskState?.lastRunEndedAt;
    };
    const before = await lastRun();
    expect(before !== undefined, 'the task to have run at start');
    expect(before >= (earlierRun ?? before), 'the earlier run to be known');

    await here.service
      .request(`${TASKS}/${SHELF_TASK}/trigger`, { method: 'POST' })
      .catch(error => {
        // Another replica was asked for it as well.
        if (!String(error).includes('HTTP 409')) throw error;
      });
    let after = before;
    await poll(
      'the task to run again',
      async () => {
        after = (await lastRun()) ?? before;
        return after > before ? undefined : `last at ${after}`;
      },
      signal,
    );
    const rows = await installation.count(
      'catalog',
      'backstage_backend_tasks__tasks',
      `id = '${SHELF_TASK}' AND last_run_error_json IS NULL`,
    );
    expect(rows === 1, 'the task, without an error, in the database');
    return after;
  },
};
