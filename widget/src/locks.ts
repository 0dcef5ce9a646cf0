/**
 * Run `work` while holding the lock `name`, in one tab at a time. Where the browser has no locks, or denies them to a
 * frame from another site, `work` runs without: the requests themselves are idempotent.
 *
 * With `ifAvailable`, `work` is left out while another tab holds the lock.
 */
export async function withLock<T>(
  name: string,
  work: () => Promise<T>,
  { ifAvailable = false } = {},
): Promise<T | undefined> {
  const locks = (navigator as { locks?: LockManager }).locks;
  if (!locks) return work();
  let isAsked = false;
  try {
    return await locks.request(name, { ifAvailable }, async (lock) => {
      isAsked = true;
      return lock ? await work() : undefined;
    });
  } catch (error) {
    if (isAsked) throw error; // it is the work's own
    return work();
  }
}
