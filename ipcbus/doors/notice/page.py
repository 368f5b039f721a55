"""What was leased, as the page that is shown of it."""

from __future__ import annotations

from ipcbus.doors.notice import whole
from ipcbus.doors.notice.looking import News, Taken
from ipcbus.doors.notice.words import Page
from ipcbus.doors.view import of_message
from ipcbus.networks import Network


def page_of(network: Network, agent: str, taken: Taken, news: News) -> Page:
    views = [of_message(one) for one in taken.messages]
    return Page(
        network.name,
        agent,
        views,
        [of_message(one) for one in taken.receipts],
        news.waiting - len(views),
        whole.keep(network, views),
    )
