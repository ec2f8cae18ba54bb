// node client.js SOCKET: what the sparkpost client of npm finds, as JSON.
'use strict';
const SparkPost = require('sparkpost');

const origin = `http://unix:${process.argv[2]}:`;
const client = new SparkPost('any key', { origin });

async function main() {
	const options = { events: ['bounce', 'delay'], per_page: 2, from: '2000-01-01T00:00' };
	let page = await client.messageEvents.search(options);
	const total = page.total_count, results = [];
	for (;;) {
		results.push(...page.results);
		const next = page.links.find(link => link.rel === 'next');
		if (!next) break;
		page = await client.get({ uri: origin + next.href });
	}
	const error = await client.messageEvents.search({ per_page: -1 })
		.then(() => null, e => ({ status: e.statusCode, param: e.errors[0].param }));
	console.log(JSON.stringify({
		total, error, ids: results.map(e => e.event_id), types: results.map(e => e.type),
	}));
}

main().catch(e => { console.error(e); process.exit(1); });
