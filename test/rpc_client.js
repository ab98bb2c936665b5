// A charge point made of npm's ocpp-rpc in strict mode, for test/interop.py: it
// validates the messages of both directions by its own schemas.
//
// Standard input: {endpoint, identity, protocol, messages: [[action, payload]],
// answers: {action: payload}}. Standard output: a line of JSON for each answer,
// failed validation and command; "ready" when all messages are answered. It ends
// when standard input or the connection does, or with exit code 1 at an error.
'use strict';
const {RPCClient} = require(process.argv[2]);

let text = '';
const print = (what, value) => console.log(JSON.stringify([what, value]));

async function run(input) {
    const client = new RPCClient({
        endpoint: input.endpoint,
        identity: input.identity,
        protocols: [input.protocol],
        strictMode: true,
        callTimeoutMs: 20000,
        reconnect: false,
    });
    client.on('strictValidationFailure', (e) => print('failure', String(e.error || e)));
    client.handle(({method, params}) => {
        print('command', [method, params]);
        return input.answers[method];
    });
    await client.connect();
    for (const [action, payload] of input.messages)
        print('answer', [action, await client.call(action, payload)]);
    print('ready', client.protocol);
    client.on('disconnect', () => process.exit(0));
}

let begun = false;
process.stdin.on('data', (some) => {
    text += some;
    if (!begun && text.includes('\n')) {
        begun = true;
        run(JSON.parse(text)).catch((e) => {
            print('error', String(e));
            process.exit(1);
        });
    }
});
process.stdin.on('end', () => process.exit(0));
