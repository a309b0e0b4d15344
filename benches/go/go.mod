module github.com/tollbar/tollbar/benches/go

go 1.26.0

require (
	github.com/tollbar/tollbar/go v0.0.0
	golang.org/x/time v0.16.0
)

replace github.com/tollbar/tollbar/go => ../../go
