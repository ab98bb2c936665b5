/* self: the global state of this worker process. See self.h. */
#include "base/self.h"

#include "clock.h"

struct self self;

void
self_begin(struct shm *shm, unsigned slot)
{
    self.shm = shm;
    self.slot = slot;
    self.mem = shm_worker(shm, slot);
    self.st = &self.mem->stats;
    self.registry = shm_registry(shm);
    self_read_config();
    self.began_us = clock_mono_ns() / 1000u;
    self_read_clocks();
}

void
self_read_clocks(void)
{
    self.now_us = clock_mono_ns() / 1000u;
    uint64_t ms = (self.now_us - self.began_us) / 1000u;
    self.now_ms = (uint32_t)ms;
    self.now_era = (uint8_t)(ms >> 32);
    self.wall_ms = clock_wall_ms();
}

void
self_read_config(void)
{
    self.conf_version = shm_config_read(self.shm, &self.conf);
    self.mem->config_seen = self.conf_version;
}
