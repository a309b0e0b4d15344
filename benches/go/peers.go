// The other side: golang.org/x/time/rate, kept for many keys as its users keep it, in a map with a mutex and in a sync.Map.

package main

import (
	"sync"

	"golang.org/x/time/rate"
)

func wideRate() *rate.Limiter { return rate.NewLimiter(10_000_000, 1_000_000_000) }

// A locked map has one mutex around finding and making.
type locked struct {
	mu  sync.Mutex
	all map[string]*rate.Limiter
}

func (l *locked) allow(key string) bool {
	l.mu.Lock()
	limiter, known := l.all[key]
	if !known {
		limiter = wideRate()
		l.all[key] = limiter
	}
	l.mu.Unlock()
	return limiter.Allow()
}

// A shared map needs no lock for a known key.
type shared struct{ all sync.Map }

func (s *shared) allow(key string) bool {
	limiter, known := s.all.Load(key)
	if !known {
		limiter, _ = s.all.LoadOrStore(key, wideRate())
	}
	return limiter.(*rate.Limiter).Allow()
}
