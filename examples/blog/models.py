"""What the blog speaks of."""

from __future__ import annotations

from pydantic import BaseModel


class Profile(BaseModel):
    id: int
    name: str
    bio: str


class ProfileUpdate(BaseModel):
    bio: str


class NewPost(BaseModel):
    title: str
    text: str
    is_draft: bool = False


class Post(BaseModel):
    id: int
    author: str
    title: str
    text: str


class Statistics(BaseModel):
    users: int
    posts: int
