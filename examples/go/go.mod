module github.com/tollbar/tollbar/examples/go

go 1.21

require (
	github.com/emersion/go-smtp v0.25.1
	github.com/tollbar/tollbar/go v0.0.0
)

require github.com/emersion/go-sasl v0.0.0-20241020182733-b788ff22d5a6 // indirect

replace github.com/tollbar/tollbar/go => ../../go
