import { poll } from '../../../testbed/waiting';
import { expect, type Check } from '../check';

interface Task {
  id: string;
  status: string;
}

interface TaskEvent {
  type: string;
  body: { output?: { text?: { content?: string }[] } };
}

export const scaffolder: Check<string> = {
  plugin: 'scaffolder',
  does: 'a template runs to completion',
  async run({ here, there, installation, signal }, earlierTask) {
    const statusOf = async (id: string) =>
      (await there.user.json<Task>(`scaffolder/v2/tasks/${id}`)).status;
    if (earlierTask) {
      const status = await statusOf(earlierTask);
      expect(status === 'completed', `the earlier task, found it ${status}`);
    }

    const { id } = await here.user.json<Task>('scaffolder/v2/tasks', {
      body: {
        templateRef: 'template:default/new-book',
        values: { title: 'Postgres' },
      },
    });
    await poll(
      'a task to run to completion',
      async () => {
        const status = await statusOf(id);
        expect(status !== 'failed', `task ${id} not to fail`);
        return status === 'completed' ? undefined : status;
      },
      signal,
    );

    const events = await there.user.json<TaskEvent[]>(
      `scaffolder/v2/tasks/${id}/events`,
    );
    const output = events.find(({ type }) => type === 'completion')?.body
      .output;
    expect(output?.text?.[0]?.content === 'handbook', "the task's output");
    const rows = await installation.count(
      'scaffolder',
      'tasks',
      `id = '${id}'`,
    );
    expect(rows === 1, 'the task in the database');
    return id;
  },
};
